//! Packages: one file out of a bundle and the same bundle out of the file, by the command; errors, interrupts and crashes included.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use readalong_bundle::{BundleWriter, Package};

use crate::world::{Exported, Ran, Session, World, fixture, program, readalong, run};

/// A bundle with artifacts, branches and pages.
fn bundle(world: &World) -> Exported {
    world.export(&fixture("chats/branches.json"), &[])
}

fn in_folder(world: &World, args: &[&str]) -> Ran {
    run(program().args(args).current_dir(world.path("")))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_zip_is_verified_in_place_and_unpacked_to_the_same_bundle() {
    comes_back("zip");
}

#[test]
fn an_html_file_is_verified_in_place_and_unpacked_to_the_same_bundle() {
    comes_back("html");
}

#[test]
fn a_package_goes_neither_into_its_bundle_nor_over_what_is_no_plain_file() {
    let world = World::new();
    let bundle = bundle(&world);
    let path = bundle.path.to_str().unwrap();
    let link = world.path("link.zip");
    let kept = world.write("kept.zip", "somebody's own");
    std::os::unix::fs::symlink(&kept, &link).unwrap();
    let inside = bundle.path.join("chat.zip");
    let folder = world.path("");
    for (out, says) in [
        (link.as_path(), "is no plain file"),
        (&folder, "is no plain file"),
        (&inside, "lies in the bundle"),
    ] {
        let ran = run(program().args(["pack", path, "--as", "zip", "-o"]).arg(out));
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    let here = run(program()
        .args(["pack", ".", "--as", "zip"])
        .current_dir(&bundle.path));
    assert_eq!(here.code, 2, "{here:?}");
    assert_eq!(readalong(["verify", path]).code, 0);
    assert_eq!(fs::read_to_string(kept).unwrap(), "somebody's own");
}

fn comes_back(kind: &str) {
    let world = World::new();
    let bundle = bundle(&world);
    let (id, path) = (bundle.id(), bundle.path.to_str().unwrap());
    let name = format!("{id}.{kind}");
    let packed = in_folder(&world, &["pack", path, "--as", kind]);
    assert_eq!(packed.code, 0, "{}", packed.err);
    assert_eq!(packed.out, format!("{name}  {id}\n"));
    let other = world.path("other");
    let again = run(program()
        .args(["pack", path, "--as", kind, "-o"])
        .arg(&other)
        .env("TZ", "Asia/Tokyo"));
    assert_eq!(again.code, 0, "{}", again.err);
    let bytes = |path| fs::read(path).unwrap();
    assert_eq!(bytes(other), bytes(world.path(&name)));
    let verified = in_folder(&world, &["verify", &name, path]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let told = verified.out.matches(&format!("id {id}")).count();
    assert_eq!(told, 2, "{}", verified.out);
    let unpacked = in_folder(&world, &["unpack", &name, "-o", "unpacked"]);
    assert_eq!(unpacked.code, 0, "{}", unpacked.err);
    let out = world.path("unpacked");
    assert_eq!(names_in(&out), [id]);
    let again = readalong([Path::new("verify"), &out.join(id)]);
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
fn damage_is_named_with_the_next_step() {
    let world = World::new();
    let bundle = bundle(&world);
    let zip = world.path("a.zip");
    let packed = run(program()
        .arg("pack")
        .arg(&bundle.path)
        .args(["--as", "zip", "-o"])
        .arg(&zip));
    assert_eq!(packed.code, 0, "{}", packed.err);
    let mut bytes = fs::read(&zip).unwrap();
    // Within what a file says: around the files are bytes that nobody reads.
    let name = bytes.windows(9).position(|name| name == b"chat.json");
    bytes[name.unwrap() + 200] ^= 1;
    fs::write(&zip, &bytes).unwrap();
    let verified = in_folder(&world, &["verify", "a.zip"]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(
        verified.out.starts_with("damaged a.zip (1 problems)"),
        "{}",
        verified.out
    );
    let unpacked = in_folder(&world, &["unpack", "a.zip", "-o", "x"]);
    assert_eq!(unpacked.code, 2);
    assert!(
        unpacked.err.contains("a.zip") && unpacked.err.contains("help: "),
        "{}",
        unpacked.err
    );
    assert_eq!(names_in(&world.path("x")), [""; 0]);
    // A transcript is no package, and a damaged bundle is not packed.
    let foreign = world.write("chat.jsonl", "{}\n");
    for command in ["unpack", "verify"] {
        let ran = run(program().arg(command).arg(&foreign));
        assert_eq!(ran.code, 2);
        assert!(
            ran.err.contains("is no bundle that was packed\nhelp: "),
            "{}",
            ran.err
        );
    }
    fs::write(bundle.path.join("index.html"), "changed").unwrap();
    let packed = run(program()
        .arg("pack")
        .arg(&bundle.path)
        .args(["--as", "zip", "-o"])
        .arg(world.path("b.zip")));
    assert_eq!(packed.code, 2);
    assert!(
        packed.err.contains("is damaged: changed: index.html"),
        "{}",
        packed.err
    );
    assert!(packed.err.contains("\nhelp: "), "{}", packed.err);
    assert!(!world.path("b.zip").exists());
}

#[test]
fn an_html_file_that_browsers_suffer_from_is_warned_of() {
    let world = World::new();
    let mut writer = BundleWriter::create(&world.out()).unwrap();
    let picture = vec![0; 40_000_000];
    for (path, media_type, bytes) in [
        (
            "index.html",
            "text/html; charset=utf-8",
            b"<p>one</p>".to_vec(),
        ),
        ("files/large.png", "image/png", picture),
    ] {
        let bytes = &mut std::iter::once(bytes);
        writer.write(path, media_type, bytes).unwrap();
    }
    let path = writer.finish("test").unwrap().path;
    for (kind, is_warned) in [("html", true), ("zip", false)] {
        let packed = in_folder(&world, &["pack", path.to_str().unwrap(), "--as", kind]);
        assert_eq!(packed.code, 0, "{}", packed.err);
        assert_eq!(packed.err.contains("53 MB"), is_warned, "{}", packed.err);
    }
}

/// What is made to fail, and how: at its first, second, ... call until there is none left.
const CALLS: [&str; 5] = ["openat", "write", "fsync", "rename", "mkdir"];
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];

/// Runs a command with a fault at every file-system call, one after the other, and looks at what is left.
fn at_every_call(world: &World, args: &[&str], mut is_sound: impl FnMut(&str)) {
    for call in CALLS {
        for fault in FAULTS {
            for number in 1.. {
                let log = world.path("strace");
                let ran = Command::new("strace")
                    .args(["-f", "-qq", "-o"])
                    .arg(&log)
                    .arg(format!("--trace={call}"))
                    .arg(format!("--inject={call}:{fault}:when={number}"))
                    .arg(program().get_program())
                    .args(args)
                    .current_dir(world.path(""))
                    .output();
                let Ok(ran) = ran else {
                    println!("skipped: strace is not installed");
                    return;
                };
                let traced = fs::read_to_string(&log).unwrap();
                let is_injected = traced.contains("(INJECTED)") || traced.contains("SIGKILL");
                let err = String::from_utf8_lossy(&ran.stderr).into_owned();
                assert!(!err.contains("panicked"), "{call} {fault} {number}: {err}");
                is_sound(&format!("{call} {fault} {number}: {err}"));
                if !is_injected {
                    assert!(ran.status.success(), "{call} {fault} {number}: {err}");
                    break;
                }
            }
        }
    }
}

#[test]
fn whatever_fails_no_half_package_is_left() {
    let world = World::new();
    let file = world.write("s.jsonl", Session::new().prompt("a").answer("b").text());
    let bundle = world.export(&file, &[]);
    let path = bundle.path.to_str().unwrap();
    for kind in ["zip", "html"] {
        let name = format!("a.{kind}");
        let mut sound = 0;
        at_every_call(&world, &["pack", path, "--as", kind, "-o", &name], |what| {
            let package = world.path(&name);
            if package.exists() {
                let source = fs::File::open(&package).unwrap();
                let mut package = Package::open(&package, source).unwrap();
                assert_eq!(package.verify(), [], "{what}");
                sound += 1;
            }
            for left in names_in(&world.path("")) {
                let is_known = [&*name, "out", "s.jsonl", "strace"].contains(&&*left);
                let is_partial = what.contains("KILL") && left.ends_with(".partial");
                assert!(is_known || is_partial, "{what}: {left}");
                if left.ends_with(".partial") || left == name {
                    fs::remove_file(world.path(&left)).unwrap();
                }
            }
        });
        assert!(sound >= CALLS.len() * FAULTS.len(), "{sound}");
    }
}

#[test]
fn whatever_fails_no_half_bundle_is_unpacked() {
    let world = World::new();
    let file = world.write("s.jsonl", Session::new().prompt("a").answer("b").text());
    let bundle = world.export(&file, &[]);
    let path = bundle.path.to_str().unwrap();
    let packed = in_folder(&world, &["pack", path, "--as", "zip", "-o", "a.zip"]);
    assert_eq!(packed.code, 0, "{}", packed.err);
    let out = world.path("unpacked");
    at_every_call(&world, &["unpack", "a.zip", "-o", "unpacked"], |what| {
        if !out.exists() {
            return;
        }
        for left in names_in(&out) {
            if left == bundle.id() {
                let found = readalong_bundle::verify(&out.join(&left)).unwrap();
                assert_eq!(found.problems, [], "{what}");
            } else {
                assert!(
                    what.contains("KILL") && left.ends_with(".partial"),
                    "{what}: {left}"
                );
            }
        }
        fs::remove_dir_all(&out).unwrap();
    });
}

/// Publishes a bundle encrypted: the folder of its version, and the link.
fn encrypted(world: &World, bundle: &Exported, how: &str, passphrase: &str) -> (PathBuf, String) {
    let site = world.path(&format!("site{how}"));
    let published = run(program()
        .arg("publish")
        .arg(&bundle.path)
        .args([how, "--to"])
        .arg(&site)
        .arg("--data")
        .arg(world.path("data"))
        .env("READALONG_PASSPHRASE", passphrase));
    assert_eq!(published.code, 0, "{}", published.err);
    let link = published.out.trim().to_owned();
    let page = link.split('#').next().unwrap();
    let share = Path::new(page).parent().unwrap();
    let mut versions = fs::read_dir(share)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    (versions.find(|path| path.is_dir()).unwrap(), link)
}

#[test]
fn an_encrypted_share_is_unpacked_by_its_link_or_passphrase_and_by_nothing_else() {
    let world = World::new();
    let bundle = bundle(&world);
    let unpack = |folder: &Path, key: Option<&str>, passphrase: &str| {
        let mut command = program();
        command
            .arg("unpack")
            .arg(folder)
            .arg("-o")
            .arg(world.path("unpacked"));
        command.args(key.map(|key| format!("--key={key}")));
        run(command.env("READALONG_PASSPHRASE", passphrase))
    };
    let comes_back = |ran: &Ran| {
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.trim().ends_with(bundle.id()), "{}", ran.out);
        fs::remove_dir_all(world.path("unpacked")).unwrap();
    };
    let refused = |ran: &Ran, says: &str| {
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains(says) && ran.err.contains("\nhelp: "),
            "{}",
            ran.err
        );
        assert!(!world.path("unpacked").exists());
    };
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    let (folder, link) = encrypted(&world, &bundle, "--encrypt", "");
    comes_back(&unpack(&folder, Some(&link), ""));
    refused(
        &unpack(&folder, Some(other), ""),
        "this key does not open the bundle",
    );
    refused(&unpack(&folder, None, "guess"), "by no passphrase");
    refused(&run(program().arg("verify").arg(&folder)), "is encrypted");

    let (folder, link) = encrypted(&world, &bundle, "--passphrase", "correct horse battery");
    assert!(!link.contains('#'), "{link}");
    comes_back(&unpack(&folder, None, "correct horse battery"));
    refused(
        &unpack(&folder, None, "correct horse"),
        "passphrase does not open",
    );
    refused(
        &unpack(&bundle.path, Some(other), ""),
        "not a sealed bundle",
    );
}
