//! Seals a bundle: `seal BUNDLE PARENT KEY [PASSPHRASE]` prints the folder. For looking at the sealed form without publishing anything.

use std::{env, path::Path, process::ExitCode};

use readalong_bundle::{Lock, ShareKey, seal, verify};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [bundle, parent, key, passphrase @ ..] = args.as_slice() else {
        eprintln!("seal BUNDLE PARENT KEY [PASSPHRASE]");
        return ExitCode::from(2);
    };
    let key: ShareKey = key.parse().expect("the key is base64url of 32 bytes");
    let lock = match passphrase.first() {
        Some(passphrase) => Lock::with_passphrase(&key, passphrase).expect("random numbers"),
        None => Lock::of(&key),
    };
    let bundle = verify(Path::new(bundle)).expect("a bundle");
    let bundle = bundle.into_verified().expect("a sound bundle");
    let sealed = seal(&bundle, (&key, &lock), Path::new(parent), &mut |_| Ok(()));
    println!("{}", sealed.expect("it can be written").path.display());
    ExitCode::SUCCESS
}
