//! Every kind of damage is found and named; a sound bundle passes.

use std::{fs, sync::Barrier, thread};

use super::*;
use crate::BundleWriter;

fn bundle(parent: &Path) -> PathBuf {
    written(parent).finish("test").unwrap().path
}

fn written(parent: &Path) -> BundleWriter {
    let mut writer = BundleWriter::create(parent).unwrap();
    for (path, text) in [
        ("index.html", "one"),
        ("data/a.js", "two"),
        ("files/x.png", "three"),
    ] {
        writer
            .write(path, "text/plain", &mut std::iter::once(text.into()))
            .unwrap();
    }
    writer
}

fn problems(damage: impl Fn(&Path)) -> Vec<String> {
    let parent = tempfile::tempdir().unwrap();
    let path = bundle(parent.path());
    damage(&path);
    verify(&path)
        .unwrap()
        .problems
        .iter()
        .map(Problem::to_string)
        .collect()
}

#[test]
fn a_sound_bundle_passes_and_its_id_is_its_name() {
    let parent = tempfile::tempdir().unwrap();
    let path = bundle(parent.path());
    let verified = verify(&path).unwrap().into_verified().unwrap();
    assert_eq!(
        path.file_name().unwrap().to_str().unwrap(),
        verified.id.to_string()
    );
    assert_eq!(verified.manifest.files.len(), 3);
    // The same again is the same, and nothing else is left in the folder.
    assert_eq!(bundle(parent.path()), path);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn those_who_write_the_same_at_once_all_have_it() {
    for _ in 0..200 {
        let parent = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(8);
        let paths: Vec<_> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let writer = written(parent.path());
                        barrier.wait();
                        writer.finish("test").unwrap().path
                    })
                })
                .collect();
            writers.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(verify(&paths[0]).unwrap().problems.is_empty());
        assert!(paths.iter().all(|path| *path == paths[0]));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}

#[test]
fn every_damage_is_named() {
    let none: [&str; 0] = [];
    assert_eq!(problems(|_| {}), none);
    assert_eq!(
        problems(|path| fs::write(path.join("index.html"), "0ne").unwrap()),
        ["changed: index.html"]
    );
    assert_eq!(
        problems(|path| fs::remove_file(path.join("data/a.js")).unwrap()),
        ["missing: data/a.js"]
    );
    assert_eq!(
        problems(|path| fs::write(path.join("data/.b"), "").unwrap()),
        ["added: data/.b"]
    );
    let rename =
        |path: &Path| fs::rename(path.join("files/x.png"), path.join("files/y.png")).unwrap();
    assert_eq!(
        problems(rename),
        ["renamed: files/x.png is now files/y.png"]
    );
    let reformat = |path: &Path| {
        let text = fs::read_to_string(path.join(MANIFEST)).unwrap();
        fs::write(path.join(MANIFEST), text + " ").unwrap();
    };
    let found = problems(reformat);
    assert!(
        found[0].starts_with("wrong name") && found[1].starts_with("changed: manifest.json"),
        "{found:?}"
    );
    #[cfg(unix)]
    assert_eq!(
        problems(|path| std::os::unix::fs::symlink("/etc", path.join("link")).unwrap()),
        ["unreadable: link: not a plain file"]
    );
}

#[test]
fn a_manifest_that_lies_about_a_length_or_its_version_is_found_out() {
    let lies = |lie: fn(&mut Manifest)| {
        let found = problems(|path| {
            let (mut manifest, _) = Manifest::open(path).unwrap();
            lie(&mut manifest);
            fs::write(path.join(MANIFEST), manifest.to_bytes().unwrap()).unwrap();
        });
        // The folder still has the name of the manifest that was true.
        found[1..].to_vec()
    };
    assert_eq!(
        lies(|manifest| manifest.files[0].size_bytes += 1),
        ["changed: data/a.js"]
    );
    assert_eq!(
        lies(|manifest| manifest.version = 0),
        ["changed: manifest.json is not as readalong writes it"]
    );
}

#[test]
fn what_is_no_bundle_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    assert!(matches!(
        verify(parent.path()),
        Err(BundleError::NotABundle { .. })
    ));
    assert!(matches!(
        verify(&parent.path().join("nothing")),
        Err(BundleError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound
    ));
    fs::write(
        parent.path().join(MANIFEST),
        r#"{"format":"readalong-bundle","version":99}"#,
    )
    .unwrap();
    assert!(matches!(
        verify(parent.path()),
        Err(BundleError::TooNew { version: 99, .. })
    ));
    fs::write(
        parent.path().join(MANIFEST),
        r#"{"format":"readalong-bundle","version":1,"generator":"","files":[{"path":"../x"}]}"#,
    )
    .unwrap();
    assert!(matches!(
        verify(parent.path()),
        Err(BundleError::BadManifest { .. })
    ));
}

#[cfg(unix)]
#[test]
fn a_manifest_that_is_a_link_is_not_followed() {
    let parent = tempfile::tempdir().unwrap();
    let path = bundle(parent.path()).join(MANIFEST);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let error = verify(path.parent().unwrap()).unwrap_err();
    assert!(matches!(error, BundleError::Io { .. }), "{error}");
}

#[test]
fn an_unfinished_bundle_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mut writer = BundleWriter::create(parent.path()).unwrap();
    writer
        .write("index.html", "text/html", &mut std::iter::once(vec![1]))
        .unwrap();
    assert!(matches!(
        writer.write("index.html", "text/html", &mut std::iter::once(vec![2])),
        Err(BundleError::Twice { .. })
    ));
    assert!(matches!(
        writer.write("../x", "text/html", &mut std::iter::empty()),
        Err(BundleError::BadPath(_))
    ));
    drop(writer);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}
