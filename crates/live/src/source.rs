//! What a chat's transcript is called: the same name wherever the chat is brought from, so that it is one chat.

use std::path::Path;

use readalong_model::Origin;

/// Names the source of a chat: by the id that its own program gave it, else by machine and path. The same transcript is the same chat
/// whether it is followed, forwarded or shared once.
pub fn source_key(origin: &Origin, file: &Path, host: &str) -> String {
    match origin.native_id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => format!("{}:{id}", origin.format),
        None => {
            let path = file.canonicalize();
            let path = path.as_deref().unwrap_or(file);
            format!("{host}:{}", path.display())
        }
    }
}
