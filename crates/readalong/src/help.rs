//! The next step after an error: what a person can do about it.

use std::io;

use anyhow::Error;
use readalong_bundle::BundleError;
use readalong_import::ImportError;
use readalong_publish::PublishError;
use readalong_server::{ServeError, StoreError};
use readalong_themes::ThemeError;

/// The next step after an error, where there is one to name.
pub(crate) fn next_step(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let import = cause.downcast_ref::<ImportError>().and_then(after_import);
        let bundle = || cause.downcast_ref::<BundleError>().and_then(after_bundle);
        let theme = || cause.downcast_ref::<ThemeError>().and_then(after_theme);
        let io = || cause.downcast_ref::<io::Error>().and_then(after_io);
        let serve = || cause.downcast_ref::<ServeError>().and_then(after_serve);
        let publish = || cause.downcast_ref::<PublishError>().and_then(after_publish);
        import
            .or_else(serve)
            .or_else(publish)
            .or_else(bundle)
            .or_else(theme)
            .or_else(io)
    })
}

fn after_import(error: &ImportError) -> Option<String> {
    let step = match error {
        ImportError::Empty { .. } => "give a file that holds a chat; one that has just begun gets its first line with the first message".to_owned(),
        ImportError::NotATranscript { .. } => {
            "`readalong formats` lists what can be read and where it is found; `--format NAME` reads the file as that format".to_owned()
        }
        ImportError::NoSuchFormat { .. } => "`readalong formats` lists the names".to_owned(),
        ImportError::DamagedZip { .. } => "download the export again, or give the `conversations.json` from within it".to_owned(),
        ImportError::ForeignZip { .. } => "unpack it and give the transcript from within it".to_owned(),
        ImportError::NoChat { .. } => "if it was cut or damaged, get it again from where it came from; `--format NAME` reads it as another format".to_owned(),
        ImportError::ManyChats { file, .. } | ImportError::NoSuchChat { file, .. } => {
            format!("`readalong inspect {file}` lists its chats; pick one with --chat NUMBER, ID or TITLE")
        }
        ImportError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
            "leave that out, or unpack the zip and give the transcript from within it".to_owned()
        }
        ImportError::Io { .. } | _ => return None,
    };
    Some(step)
}

fn after_serve(error: &ServeError) -> Option<String> {
    let step = match error {
        ServeError::Busy { .. } => {
            "end that one first, or name another folder with --data DIR; other commands act through the server that runs"
        }
        ServeError::Listen { .. } => {
            "name another address with --addr; port 0 takes any that is free"
        }
        ServeError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            "commands write to the data folder, those too that only list: copy it to where they can, and name the copy with --data DIR"
        }
        ServeError::OidcLeftOut => {
            "take `signin.oidc` out of the configuration, or build with the feature `oidc`"
        }
        ServeError::Store(StoreError::Full) => {
            "free some space where the data folder lies, or name another one with --data DIR; what is in it is safe"
        }
        ServeError::Store(StoreError::Locked) => {
            "end the program that has the database open, such as a backup, and run the same again"
        }
        ServeError::Store(StoreError::TooNew { .. }) => "use a newer readalong",
        ServeError::Store(
            StoreError::NotOurs { .. } | StoreError::Damaged { .. } | StoreError::Database(_),
        ) => {
            "put the data folder back from a copy, or name another one with --data DIR; nothing was changed"
        }
        _ => return None,
    };
    Some(step.to_owned())
}

fn after_publish(error: &PublishError) -> Option<String> {
    let step = match error {
        PublishError::BadTarget { .. } => {
            "docs/publishing.md lists the places; names come from [[target]] in the configuration"
        }
        PublishError::NoBucket { .. } => {
            "make it with the tools of its provider, or check its name, its region and AWS_ENDPOINT; nothing was sent"
        }
        PublishError::Denied { .. } => {
            "give credentials where the tools of the place look for them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_… or AZURE_… in the environment, git's or ssh's own; nothing that readers see was changed"
        }
        PublishError::Storage { .. } => {
            "check the network and the address, and run the same again: it goes on where it was; readers see what they saw before"
        }
        PublishError::Full { .. } => {
            "make room there, and run the same again: it goes on where it was; readers see what they saw before"
        }
        PublishError::NoProgram { .. } => "install it, or publish to another kind of place",
        PublishError::Program { .. } => {
            "run the same again once that is put right; readers see what they saw before"
        }
        PublishError::MovedOn { .. } | PublishError::OtherPublisher { .. } => {
            "look at what is there now, and run the same again if yours should replace it"
        }
        PublishError::Busy { .. } => "wait until it is done, and run the same again",
        PublishError::TooNew { .. } => "use a newer readalong",
        PublishError::ForeignIndex { .. } => "publish to a folder below it, or without --listed",
        PublishError::BadRecord { path, .. } if path == "catalogue.json" => {
            "publish to a folder below it, or without --listed; remove it if it is readalong's own, and damaged"
        }
        PublishError::BadRecord { .. } => {
            "publish that share again, or take it back: its record is made anew; another file than a `share.json` has to be removed first"
        }
        PublishError::NotLive { .. } => "publish it with --live again if it should grow on",
        PublishError::NoSite { .. } => {
            "see whether the place is there (a drive, a mount, the right folder), and run the same again; nothing is forgotten"
        }
        PublishError::NotThere { .. } => "`readalong published --to TARGET` lists what is there",
        _ => return None,
    };
    Some(step.to_owned())
}

fn after_bundle(error: &BundleError) -> Option<String> {
    let step = match error {
        BundleError::NotABundle { .. } => {
            "name the folder that `readalong export` printed: its name is 64 digits and letters"
        }
        BundleError::TooNew { .. } => "use a newer readalong",
        BundleError::NotAPackage { .. } => {
            "name a file that `readalong pack` wrote, or a zip of a bundle's folder"
        }
        BundleError::DamagedZip { .. }
        | BundleError::Damaged { .. }
        | BundleError::Bomb { .. }
        | BundleError::TooManyFiles { .. } => {
            "get it again from where it came from; nothing was written"
        }
        BundleError::IsSealed { .. } => {
            "`readalong unpack DIR --key KEY` gives the bundle in it; without --key it asks for the passphrase"
        }
        BundleError::IsGrowing { .. } => "open its link to read it",
        BundleError::NotSealed { .. } => {
            "name the folder of an encrypted share, the one with index.js in it"
        }
        BundleError::WrongKey => {
            "copy the link again, with all that follows the #; the key of another share does not open this one"
        }
        BundleError::WrongPassphrase => "try it again: capitals and spaces count",
        BundleError::NoPassphrase => "give the link, or what follows `k=` in it, with --key",
        BundleError::SealedChanged { .. }
        | BundleError::DamagedLock
        | BundleError::BadPiece { .. } => {
            "get the share again from where it came from; nothing was written"
        }
        BundleError::ChangedMeanwhile { .. } => {
            "`readalong verify` on the bundle tells what is wrong with it; nothing was written"
        }
        BundleError::BadManifest { .. } => {
            "the bundle is damaged; get it again from where it came from, or export the chat again"
        }
        _ => return None,
    };
    Some(step.to_owned())
}

fn after_theme(error: &ThemeError) -> Option<String> {
    let step = match error {
        ThemeError::NoSuchTheme { .. } => {
            "`readalong theme list` lists the built-in themes; `readalong theme init DIR` begins one of your own"
        }
        ThemeError::TooNew { .. } => "use a newer readalong, or an older version of the theme",
        ThemeError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            "name a folder that does not exist yet"
        }
        _ => return None,
    };
    Some(step.to_owned())
}

fn after_io(error: &io::Error) -> Option<String> {
    let step = match error.kind() {
        io::ErrorKind::NotFound => "check the name; nothing is there",
        io::ErrorKind::PermissionDenied => "check who may read or write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or write elsewhere; nothing was left half-written"
        }
        io::ErrorKind::IsADirectory => "name a file within it",
        io::ErrorKind::ReadOnlyFilesystem => "write elsewhere",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "a file has the name of a folder there; write elsewhere"
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            "the file is damaged; get it again from where it came from"
        }
        io::ErrorKind::Unsupported | io::ErrorKind::NotSeekable => {
            "save what it holds to a file and name that"
        }
        _ => return None,
    };
    Some(step.to_owned())
}
