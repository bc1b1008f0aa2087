//! What is sealed says nothing, is the same again, and comes out whole or not at all.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;

use super::*;
use crate::{BundleError, BundleWriter, MANIFEST, VerifiedBundle, verify};

fn key(byte: u8) -> ShareKey {
    ShareKey([byte; 32])
}

/// A text without repetitions, so that each of its windows tells.
fn prose(seed: u32, words: usize) -> String {
    let mut state = seed;
    let mut word = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{:06x} ", state >> 8)
    };
    (0..words).map(|_| word()).collect()
}

fn bundle(parent: &Path, extra: &str) -> VerifiedBundle {
    let mut writer = BundleWriter::create(parent).unwrap();
    let picture: Vec<u8> = (0..PIECE_BYTES_MAX as u32 + 70_000)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (path, media_type, bytes) in [
        ("index.html", "text/html", prose(1, 3000).into_bytes()),
        ("2.html", "text/html", extra.as_bytes().to_vec()),
        ("chat.md", "text/markdown", prose(2, 100).into_bytes()),
        ("files/empty.txt", "text/plain", Vec::new()),
        ("files/x.png", "image/png", picture),
    ] {
        let bytes = &mut std::iter::once(bytes);
        writer.write(path, media_type, bytes).unwrap();
    }
    let written = writer.finish("test").unwrap();
    verify(&written.path).unwrap().into_verified().unwrap()
}

fn sealed(bundle: &VerifiedBundle, key: &ShareKey, parent: &Path) -> SealedBundle {
    seal(bundle, (key, &Lock::of(key)), parent, &mut |_| Ok(())).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = crate::verify::names_in(folder).unwrap().into_iter();
    names
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

struct World {
    folder: tempfile::TempDir,
    bundle: VerifiedBundle,
    sealed: SealedBundle,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = bundle(&folder.path().join("clear"), "two");
        let sealed = sealed(&bundle, &key(7), &folder.path().join("sealed"));
        Self {
            folder,
            bundle,
            sealed,
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn unpack(&self, key: &ShareKey) -> Result<crate::WrittenBundle, BundleError> {
        SealedBundle::package(&self.sealed.path, key)?.unpack(&self.out())
    }

    /// The largest piece and another one.
    fn pieces(&self) -> [PathBuf; 2] {
        let mut files = self.sealed.files.clone();
        files.retain(|file| file.path.as_str().starts_with("files/"));
        files.sort_by_key(|file| file.size_bytes);
        let at = |index: usize| self.sealed.path.join(files[index].path.as_str());
        [at(files.len() - 1), at(0)]
    }
}

#[test]
fn a_sealed_bundle_comes_out_as_the_same_bundle() {
    let world = World::new();
    let mut package = SealedBundle::package(&world.sealed.path, &key(7)).unwrap();
    assert_eq!(package.verify(), []);
    let written = world.unpack(&key(7)).unwrap();
    assert_eq!(written.id, world.bundle.id);
    assert_eq!(verify(&written.path).unwrap().problems, []);
    assert_eq!(
        SealedBundle::open(&world.sealed.path).unwrap(),
        world.sealed
    );
    assert_eq!(
        verify(&world.sealed.path).unwrap_err().to_string(),
        format!(
            "the bundle in `{}` is encrypted",
            world.sealed.path.display()
        )
    );
}

#[test]
fn an_update_changes_only_what_changed() {
    let world = World::new();
    let again = sealed(&world.bundle, &key(7), &world.folder.path().join("again"));
    assert_eq!(again.id, world.sealed.id);
    let update = bundle(&world.folder.path().join("clear"), "two and more");
    let update = sealed(&update, &key(7), &world.folder.path().join("sealed"));
    let before = &world.sealed.files;
    let new: Vec<_> = update
        .files
        .iter()
        .filter(|file| !before.contains(file))
        .collect();
    let names: Vec<&str> = new.iter().map(|file| file.path.as_str()).collect();
    // The page, the manifest and the index.
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&INDEX));
    for head in SealedBundle::HEADS {
        assert!(update.files.iter().any(|file| file.path.as_str() == head));
    }
    let other = sealed(&world.bundle, &key(8), &world.folder.path().join("other"));
    let shared = other.files.iter().filter(|file| before.contains(file));
    let shared: Vec<&str> = shared.map(|file| file.path.as_str()).collect();
    assert_eq!(shared.len(), 3, "only the page that opens it: {shared:?}");
}

#[test]
fn no_window_of_the_plain_bundle_is_in_what_is_published() {
    let world = World::new();
    // The page that opens it is the same for all bundles, and has nothing of any.
    let fixed: BTreeMap<String, Vec<u8>> = reader(Connections::Never)
        .into_iter()
        .map(|(name, _, content)| (name, content))
        .collect();
    let mut windows = HashSet::new();
    for (name, content) in files(&world.sealed.path) {
        match fixed.get(&name) {
            Some(expected) => assert_eq!(&content, expected, "{name}"),
            None => windows.extend(content.windows(16).map(<[u8]>::to_owned)),
        }
        assert!(!name.contains("png") && !name.contains("chat"), "{name}");
    }
    let names = world.bundle.manifest.files.iter();
    for name in names.map(|file| file.path.as_str()).chain([MANIFEST]) {
        let plain = fs::read(world.bundle.path.join(name)).unwrap();
        for window in plain.windows(16) {
            assert!(!windows.contains(window), "{name}: {window:?}");
        }
    }
}

#[test]
fn lengths_say_little() {
    let lengths: HashSet<usize> = (0..100_000).map(padded).collect();
    assert!(lengths.len() < 140, "{} lengths", lengths.len());
    for length in 0..100_000 {
        let with = padded(length);
        assert!(with >= length && with >= PADDED_BYTES_MIN);
        assert!(
            length < 1024 || with as f64 <= length as f64 * 1.12,
            "{length}"
        );
    }
    assert_eq!(padded(padded(12_345)), padded(12_345));
    let size = |text: &str| key(1).seal("file", "a", text.as_bytes()).script.len();
    assert_eq!(size("yes"), size("no, and nine reasons why not"));
}

#[test]
fn a_wrong_key_is_told_from_damage() {
    let world = World::new();
    let said = |world: &World| world.unpack(&key(8)).unwrap_err().to_string();
    assert_eq!(said(&world), "this key does not open the bundle");
    let index = world.sealed.path.join(INDEX);
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replacen("\"sum\":\"", "\"sum\":\"0", 1)).unwrap();
    assert!(said(&world).contains("lock"), "{}", said(&world));
    fs::write(&index, text.replacen("\"version\":1", "\"version\":9", 1)).unwrap();
    assert!(said(&world).contains("version 9"), "{}", said(&world));
    fs::write(&index, "").unwrap();
    assert!(
        said(&world).contains("not a sealed bundle"),
        "{}",
        said(&world)
    );
    assert!("x".parse::<ShareKey>().is_err());
    assert_eq!(key(3).to_string().parse::<ShareKey>().unwrap(), key(3));
    assert_eq!(format!("{:?}", key(3)), "ShareKey(…)");
    assert_ne!(ShareKey::random().unwrap(), ShareKey::random().unwrap());
}

#[test]
fn every_flipped_byte_of_the_index_is_refused() {
    let world = World::new();
    let index = world.sealed.path.join(INDEX);
    let whole = fs::read(&index).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&index, bytes).unwrap();
        assert!(
            SealedBundle::package(&world.sealed.path, &key(7)).is_err(),
            "flipped at {at}"
        );
    }
}

#[test]
fn flipped_swapped_and_missing_pieces_are_refused_and_named() {
    let said = |damage: &dyn Fn([PathBuf; 2])| {
        let world = World::new();
        damage(world.pieces());
        let error = world.unpack(&key(7)).unwrap_err();
        let left = fs::read_dir(world.out()).into_iter().flatten();
        assert_eq!(left.count(), 0);
        // The manifest is a piece, too: without it there is nothing to look through.
        let package = SealedBundle::package(&world.sealed.path, &key(7));
        assert!(package.is_err() || !package.unwrap().verify().is_empty());
        assert!(SealedBundle::open(&world.sealed.path).is_err());
        let cause = std::error::Error::source(&error).unwrap();
        format!("{error}: {cause}")
    };
    let flipped = said(&|[piece, _]| {
        let mut bytes = fs::read(&piece).unwrap();
        let at = bytes.len() / 2;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        fs::write(&piece, bytes).unwrap();
    });
    assert!(flipped.contains("it is damaged"), "{flipped}");
    let swapped = said(&|[one, other]| {
        let (a, b) = (fs::read(&one).unwrap(), fs::read(&other).unwrap());
        fs::write(&one, b).unwrap();
        fs::write(&other, a).unwrap();
    });
    assert!(swapped.contains("exchanged for another"), "{swapped}");
    let missing = said(&|[piece, _]| fs::remove_file(piece).unwrap());
    assert!(missing.contains("files/"), "{missing}");
}

#[test]
fn a_piece_is_opened_under_its_purpose_and_name_only() {
    let piece = key(1).seal("message", "m1", b"hello");
    assert_eq!(
        key(1).open("message", "m1", &piece.script).unwrap(),
        b"hello"
    );
    let refused =
        |key: &ShareKey, purpose, name| key.open(purpose, name, &piece.script).unwrap_err();
    assert_eq!(refused(&key(1), "message", "m2"), PieceError::Exchanged);
    assert_eq!(refused(&key(1), "head", "m1"), PieceError::Damaged);
    assert_eq!(refused(&key(2), "message", "m1"), PieceError::Damaged);
    assert_eq!(
        key(1).open("message", "m1", b"sealed(").unwrap_err(),
        PieceError::NoPiece
    );
    // Other content under the same name has another key: no nonce is used twice.
    assert_ne!(key(1).seal("message", "m1", b"hallo").tag, piece.tag);
    assert_eq!(key(1).seal("message", "m1", b"hello"), piece);
}

#[test]
fn a_passphrase_opens_what_it_locked() {
    let lock = Lock::with_passphrase(&key(5), "correct horse").unwrap();
    assert!(lock.has_passphrase() && !Lock::of(&key(5)).has_passphrase());
    assert_eq!(lock.unlock("correct horse").unwrap(), key(5));
    let said = |lock: &Lock, passphrase| lock.unlock(passphrase).unwrap_err().to_string();
    assert_eq!(
        said(&lock, "Correct horse"),
        "this passphrase does not open the bundle"
    );
    assert!(said(&Lock::of(&key(5)), "x").contains("no passphrase"));
    let json = serde_json::to_string(&lock).unwrap();
    assert_eq!(serde_json::from_str::<Lock>(&json).unwrap(), lock);
    let changed = json.replace("600000", "600001");
    let changed: Lock = serde_json::from_str(&changed).unwrap();
    assert!(said(&changed, "correct horse").contains("damaged"));
    assert_ne!(
        lock,
        Lock::with_passphrase(&key(5), "correct horse").unwrap()
    );
}

/// What is published of the primitives, through the calls that are made here.
#[test]
fn published_vectors_hold() {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    // RFC 5869, A.1.
    let (salt, info) = (
        hex("000102030405060708090a0b0c"),
        hex("f0f1f2f3f4f5f6f7f8f9"),
    );
    let mut out = [0; 42];
    let derived = Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]);
    derived.expand(&info, &mut out).unwrap();
    let expected =
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(HEXLOWER.encode(&out), expected);
    // RFC 4231, test case 2.
    let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(HEXLOWER.encode(&mac.finalize().into_bytes()), expected);
    // RFC 7914, section 11.
    let mut out = [0; 64];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"Password", b"NaCl", 80_000, &mut out);
    let expected = "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d";
    assert_eq!(HEXLOWER.encode(&out), expected);
    // The GCM specification of McGrew and Viega, test case 16.
    let cipher = Aes256Gcm::new_from_slice(&hex(
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    ))
    .unwrap();
    let msg = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
    let payload = Payload {
        msg: &msg,
        aad: &aad,
    };
    let sealed = cipher.encrypt(&nonce.into(), payload).unwrap();
    let expected = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b";
    assert_eq!(HEXLOWER.encode(&sealed), expected);
}

#[test]
fn what_would_unpack_to_much_more_than_it_is_is_refused() {
    let world = World::new();
    let mut bundle = bundle(&world.folder.path().join("clear"), "two");
    bundle.manifest.files[0].size_bytes = 1 << 40;
    let long = sealed(&bundle, &key(7), &world.folder.path().join("long"));
    let error = SealedBundle::package(&long.path, &key(7)).err();
    assert!(matches!(error, Some(BundleError::Bomb { .. })), "{error:?}");
    // An index of nothing but blanks.
    let blanks = vec![b' '; PIECE_BYTES_MAX];
    let index = world.sealed.path.join(INDEX);
    let mut text = fs::read_to_string(&index).unwrap();
    text.truncate(text.find('\n').unwrap() + 1);
    for number in 0..17 {
        let piece = key(7).seal("index", &number.to_string(), &blanks);
        text.push_str(std::str::from_utf8(&piece.script).unwrap());
    }
    fs::write(&index, text).unwrap();
    let error = SealedBundle::package(&world.sealed.path, &key(7)).err();
    let source = PieceError::TooLong;
    assert!(
        matches!(&error, Some(BundleError::BadPiece { source: found, .. }) if *found == source),
        "{error:?}"
    );
}

#[test]
fn what_grows_is_said_to_hold_no_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let index = SealedIndex::default().to_bytes(&key(1), &Lock::of(&key(1)));
    fs::write(folder.path().join(INDEX), index).unwrap();
    let error = SealedBundle::package(folder.path(), &key(1)).err();
    assert!(
        matches!(error, Some(BundleError::IsGrowing { .. })),
        "{error:?}"
    );
}
