//! How much memory a program that runs for long keeps.

/// Allocator arenas of a server. The C library makes up to eight a core, one for each busy thread, and what one gave back the others cannot
/// use: a server that renders on many threads would keep half as much again.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: &str = "2";

/// Starts this program anew with few arenas, where nobody chose their number. The C library reads it before `main`, so there is no other way.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little() {
    use std::{env, os::unix::process::CommandExt as _, process::Command};

    const NAME: &str = "MALLOC_ARENA_MAX";
    if env::var_os(NAME).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) else {
        return;
    };
    // Comes back only where it failed; then the server works as well and keeps more.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(NAME, ARENAS)
        .exec();
}

/// Other C libraries keep little by themselves, or cannot be asked.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_little() {}
