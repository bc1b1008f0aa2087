//! What is packed comes out again, byte for byte and nowhere else; what is not a whole bundle does not.

use std::io::Cursor;

use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
use readalong_model::Digest;

use super::*;
use crate::{MANIFEST, verify};

fn bundle(parent: &Path) -> VerifiedBundle {
    bundle_of(parent, "<p>one</p>".repeat(1000).into_bytes())
}

/// A bundle with this as its page.
fn bundle_of(parent: &Path, page: Vec<u8>) -> VerifiedBundle {
    let mut writer = BundleWriter::create(parent).unwrap();
    for (path, media_type, bytes) in [
        (
            "chat.json",
            "application/json",
            br#"{"readalong":1,"title":"A <b> & c","messages":[]}"#.to_vec(),
        ),
        (
            "chat.md",
            "text/markdown; charset=utf-8",
            b"# A\n</pre></div>\n<script type=\"text/plain\" data-file=\"x\">".to_vec(),
        ),
        ("index.html", "text/html; charset=utf-8", page),
        ("data/a.js", "text/javascript", b"two".to_vec()),
        ("files/x.png", "image/png", vec![7; 300]),
        ("files/empty.txt", "text/plain; charset=utf-8", Vec::new()),
    ] {
        writer
            .write(path, media_type, &mut std::iter::once(bytes))
            .unwrap();
    }
    let written = writer.finish("test").unwrap();
    verify(&written.path).unwrap().into_verified().unwrap()
}

fn packed(bundle: &VerifiedBundle, kind: PackageKind) -> Vec<u8> {
    let mut out = Vec::new();
    pack(bundle, kind, &mut out).unwrap();
    out
}

fn open(bytes: Vec<u8>) -> Result<Package, BundleError> {
    Package::open(Path::new("a.zip"), Cursor::new(bytes))
}

/// A zip of these members.
fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The members of a bundle below a folder of any name.
fn members(bundle: &VerifiedBundle, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut members: Vec<(String, Vec<u8>)> = (bundle.manifest.files.iter())
        .map(|file| file.path.to_string())
        .chain([MANIFEST.to_owned()])
        .map(|path| (path.clone(), fs::read(bundle.path.join(path)).unwrap()))
        .collect();
    for (name, _) in &mut members {
        *name = format!("{folder}{name}");
    }
    members
}

fn borrowed(members: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    let members = members.iter();
    members
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect()
}

/// What is said of a zip that must not come out: by `verify` and by `unpack`, which leaves nothing.
fn refused(zip: Vec<u8>) -> (Vec<String>, String) {
    let out = tempfile::tempdir().unwrap();
    let mut package = open(zip).unwrap();
    let problems = package.verify();
    let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let error = package.unpack(out.path()).unwrap_err().to_string();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
    (problems, error)
}

#[test]
fn a_package_comes_out_as_the_same_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for kind in [PackageKind::Zip, PackageKind::Html] {
        let bytes = packed(&bundle, kind);
        let mut package = open(bytes.clone()).unwrap();
        assert_eq!((package.kind, package.id), (Some(kind), bundle.id));
        assert_eq!(package.verify(), []);
        assert!(package.is_as_packed(&mut bytes.as_slice()));
        let out = tempfile::tempdir().unwrap();
        let written = package.unpack(out.path()).unwrap();
        assert_eq!(written.id, bundle.id);
        assert_eq!(verify(&written.path).unwrap().problems, []);
        // Again: what is there stays.
        assert_eq!(package.unpack(out.path()).unwrap(), written);
    }
}

#[test]
fn what_an_html_file_has_around_the_bundle_is_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let html = String::from_utf8(packed(&bundle(folder.path()), PackageKind::Html)).unwrap();
    let other = html.replace("Shows a bundle", "Shows another");
    let mut package = open(other.clone().into_bytes()).unwrap();
    assert_eq!(package.verify(), []);
    assert!(!package.is_as_packed(&mut other.as_bytes()));
    let newer = html.replace(
        "data-package=\"readalong 1\"",
        "data-package=\"readalong 2\"",
    );
    let error = open(newer.into_bytes()).err().unwrap().to_string();
    assert!(error.contains("version 2"), "{error}");
    // The script's own text ends no element and begins no comment.
    assert!(!BOOK.contains("</script") && !BOOK.contains("<!--"));
    let twice = html.replace("files/x.png\"", "index.html\"");
    assert!(matches!(
        open(twice.into_bytes()),
        Err(BundleError::Twice { .. })
    ));
}

#[test]
fn a_long_page_is_as_packed_however_much_is_read_of_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Words that come again and others that do not.
    let words = (0..60_000_u32).map(|n| format!("word {} ", n.wrapping_mul(2_654_435_761) >> 9));
    let bundle = bundle_of(folder.path(), words.collect::<String>().into_bytes());
    let bytes = packed(&bundle, PackageKind::Html);
    let mut package = open(bytes.clone()).unwrap();
    assert!(package.is_as_packed(&mut bytes.as_slice()));
}

#[test]
fn an_html_file_that_is_cut_or_changed_is_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let whole = packed(&bundle, PackageKind::Html);
    let out = tempfile::tempdir().unwrap();
    let last = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
    let end = String::from_utf8_lossy(&whole)
        .find("</script>\n<script>")
        .unwrap();
    assert!(end < last);
    for cut in (0..end).step_by(29) {
        let package = open(whole[..cut].to_vec());
        let unpacked = package.and_then(|mut package| package.unpack(out.path()));
        assert!(unpacked.is_err(), "cut at {cut}");
    }
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        if let Ok(written) = open(bytes).and_then(|mut package| package.unpack(out.path())) {
            assert_eq!(written.id, bundle.id, "flipped at {at}");
        }
    }
}

#[test]
fn a_zip_has_the_same_bytes_on_every_machine() {
    let folder = tempfile::tempdir().unwrap();
    let zip = packed(&bundle(folder.path()), PackageKind::Zip);
    assert_eq!(
        Digest::of(&zip).to_string(),
        "ba40fd69e387ba72d5c8cae7b416047c5e6e6e0e89f9db15bac4ac39f0758f90",
        "{} bytes",
        zip.len()
    );
}

#[test]
fn a_zip_of_another_archiver_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for folder in ["", "my chat/"] {
        let mut members = members(&bundle, folder);
        // What macOS adds.
        members.push((format!("__MACOSX/{folder}._index.html"), b"x".to_vec()));
        members.push((format!("{folder}.DS_Store"), b"x".to_vec()));
        let mut package = open(zip_of(&borrowed(&members))).unwrap();
        assert_eq!(package.id, bundle.id);
        assert_eq!(package.verify(), []);
    }
    let wrong = format!("{}/", Digest::of(b"another"));
    let (problems, _) = refused(zip_of(&borrowed(&members(&bundle, &wrong))));
    assert!(problems[0].starts_with("wrong name"), "{problems:?}");
}

#[test]
fn what_does_not_belong_is_named_and_written_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for name in [
        "../up.txt",
        "/etc/x",
        "b/../../up.txt",
        "b/a/b/c/d",
        "b/.hidden",
        "b\\c",
        "c/x.html",
        "b/more.html",
    ] {
        let mut members = members(&bundle, "b/");
        members.push((name.to_owned(), b"x".to_vec()));
        let (problems, error) = refused(zip_of(&borrowed(&members)));
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].starts_with("added: "), "{name}: {problems:?}");
        assert!(
            error.contains("`a.zip` is damaged: added"),
            "{name}: {error}"
        );
    }
}

#[test]
fn what_is_changed_or_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let at = |members: &[(String, Vec<u8>)], name: &str| {
        members.iter().position(|(path, _)| path == name).unwrap()
    };
    let mut changed = members(&bundle, "");
    let index = at(&changed, "data/a.js");
    changed[index].1 = b"three and much longer than it was".to_vec();
    let (problems, error) = refused(zip_of(&borrowed(&changed)));
    assert_eq!(problems, ["changed: data/a.js"]);
    assert_eq!(
        error,
        "the bundle in `a.zip` is damaged: changed: data/a.js"
    );
    let mut missing = members(&bundle, "");
    missing.remove(at(&missing, "files/x.png"));
    let (problems, error) = refused(zip_of(&borrowed(&missing)));
    assert_eq!(problems, ["missing: files/x.png"]);
    assert!(error.ends_with("missing: files/x.png"), "{error}");
}

#[test]
fn what_would_come_out_as_another_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let lies = |lie: fn(&mut Manifest)| {
        let mut manifest = bundle.manifest.clone();
        lie(&mut manifest);
        let mut members = members(&bundle, "");
        members.pop();
        members.push((MANIFEST.to_owned(), manifest.to_bytes().unwrap()));
        refused(zip_of(&borrowed(&members))).0
    };
    let longer = lies(|manifest| {
        for file in &mut manifest.files {
            file.size_bytes += 1;
        }
    });
    assert_eq!(longer.len(), bundle.manifest.files.len(), "{longer:?}");
    assert_eq!(
        lies(|manifest| manifest.version = 0),
        ["changed: manifest.json is not as readalong writes it"]
    );
}

#[test]
fn a_cut_or_a_flipped_byte_is_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let whole = packed(&bundle, PackageKind::Zip);
    let out = tempfile::tempdir().unwrap();
    for cut in (0..whole.len()).step_by(29) {
        let package = open(whole[..cut].to_vec());
        let unpacked = package.and_then(|mut package| package.unpack(out.path()));
        assert!(unpacked.is_err(), "cut at {cut}");
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    for at in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        // A flipped byte in a time or a mode changes nothing of the bundle.
        if let Ok(written) = open(bytes).and_then(|mut package| package.unpack(out.path())) {
            assert_eq!(written.id, bundle.id, "flipped at {at}");
        }
    }
}

#[test]
fn bombs_and_foreign_files_are_refused() {
    let refused = |bytes: Vec<u8>| open(bytes).err().unwrap().to_string();
    assert_eq!(refused(Vec::new()), "`a.zip` is no bundle that was packed");
    assert_eq!(
        refused(b"a transcript".to_vec()),
        "`a.zip` is no bundle that was packed"
    );
    assert_eq!(
        refused(zip_of(&[("readme.txt", b"hello")])),
        "`a.zip` is no bundle that was packed"
    );
    let file = |size_bytes| FileEntry {
        path: crate::BundlePath::new("index.html").unwrap(),
        media_type: "text/html".to_owned(),
        size_bytes,
        sha256: Digest::of(b""),
    };
    let mut manifest = Manifest {
        format: Manifest::FORMAT.to_owned(),
        version: 1,
        generator: "test".to_owned(),
        files: vec![file(u64::MAX / 4096)],
    };
    let bytes = manifest.to_bytes().unwrap();
    let said = refused(zip_of(&[(MANIFEST, &bytes), ("index.html", b"")]));
    assert!(said.contains("would become"), "{said}");
    manifest.version = 99;
    let bytes = manifest.to_bytes().unwrap();
    let said = refused(zip_of(&[(MANIFEST, &bytes)]));
    assert!(said.contains("format version 99"), "{said}");
}

#[test]
fn a_bundle_that_changed_meanwhile_makes_no_zip() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    fs::write(bundle.path.join("files/x.png"), "changed").unwrap();
    let mut out = Vec::new();
    let error = pack(&bundle, PackageKind::Zip, &mut out).unwrap_err();
    assert!(error.to_string().contains("changed while"), "{error}");
    assert!(open(out).is_err(), "it looks whole");
    let at = folder.path().join("x.zip");
    assert!(pack_to(&bundle, PackageKind::Zip, &at, &mut |_| Ok(())).is_err());
    let names = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names(), 1, "only the bundle is there");
    let stop = &mut |_| Err(io::Error::other("cancelled"));
    assert!(pack_to(&bundle, PackageKind::Zip, &at, stop).is_err());
    assert_eq!(names(), 1, "only the bundle is there");
}
