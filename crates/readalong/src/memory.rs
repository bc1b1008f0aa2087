//! How much memory a program that runs for long keeps.

/// How the C library's allocator is to be. It makes up to eight arenas a core, one for each busy thread, and what one gave back the others cannot
/// use: a server that renders on many threads would keep half as much again. And after a large piece it keeps as large ones, too, where they are free.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const CHOSEN: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// Starts this program anew with an allocator that keeps little, where nobody chose otherwise. The C library reads that before `main`, so there is no
/// other way.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little() {
    use std::{env, os::unix::process::CommandExt as _, process::Command};

    let is_chosen = |(name, _): &(&str, &str)| env::var_os(name).is_some();
    if CHOSEN.iter().any(is_chosen) {
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
        .envs(CHOSEN)
        .exec();
}

/// Other C libraries keep little by themselves, or cannot be asked.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_little() {}
