//! Links of an older system, taken over from a CSV file.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::{self, Body},
    extract::State,
};
use data_encoding::HEXLOWER_PERMISSIVE;
use readalong_model::{ChatId, Timestamp};
use readalong_store::{LegacyLink, Write};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    auth::Owner,
    error::ApiError,
    routes::OUR_PATHS,
    service::{Service, now},
};

/// Bytes of a list: some hundred thousand links.
pub(super) const LIST_BYTES_MAX: usize = 16 << 20;
/// Bytes of an old path: longer ones are no addresses.
const PATH_BYTES_MAX: usize = 2_000;

/// What became of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Taken {
    /// How many links it had.
    imported: usize,
}

/// Takes over old links, all or none.
#[utoipa::path(post, path = "/api/v1/legacy_links", tag = "legacy",
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "They answer from now on.", body = Taken)))]
pub(crate) async fn import(
    State(service): State<Arc<Service>>,
    owner: Owner,
    body: Body,
) -> Result<Json<Taken>, ApiError> {
    let list = body::to_bytes(body, LIST_BYTES_MAX).await;
    let list = list.map_err(|_| ApiError::too_large(LIST_BYTES_MAX as u64))?;
    let rows = parse(&list)?;
    let links = service
        .read(move |r| {
            let mut links = Vec::with_capacity(rows.len());
            for (line, link) in rows {
                if r.chat_of(owner.id, &link.chat)?.is_none() {
                    return Ok(Err(wrong(line, "there is no such chat")));
                }
                if r.is_legacy_of_another(owner.id, &link.path, now())? {
                    return Ok(Err(wrong(line, "the path is somebody else's")));
                }
                links.push(link);
            }
            Ok(Ok(links))
        })
        .await??;
    let imported = links.len();
    service.write(Write::ImportLegacy(links)).await?;
    Ok(Json(Taken { imported }))
}

#[derive(Deserialize)]
struct Row {
    path: String,
    chat: String,
    expires_at: String,
}

/// The links of a list with the numbers of their lines.
fn parse(list: &[u8]) -> Result<Vec<(u64, LegacyLink)>, ApiError> {
    let list = list.strip_prefix(b"\xef\xbb\xbf").unwrap_or(list);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(list);
    let headings = reader.headers().map_err(of_csv)?.clone();
    for name in ["path", "chat", "expires_at"] {
        if !headings.iter().any(|heading| heading == name) {
            return Err(wrong(1, &format!("there is no column `{name}`")));
        }
    }
    let (mut links, mut lines) = (Vec::new(), HashMap::new());
    for record in reader.records() {
        let record = record.map_err(of_csv)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&headings)).map_err(of_csv)?;
        let link = link(row).map_err(|reason| wrong(line, &reason))?;
        if let Some(other) = lines.insert(link.path.clone(), line) {
            let twice = format!("`{}` is in line {other} already", link.path);
            return Err(wrong(line, &twice));
        }
        links.push((line, link));
    }
    match links.is_empty() {
        true => Err(ApiError::bad_request("the list has no links")),
        false => Ok(links),
    }
}

fn link(row: Row) -> Result<LegacyLink, String> {
    let Row {
        path,
        chat,
        expires_at,
    } = row;
    let is_path = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= PATH_BYTES_MAX
        && !path.contains(|c: char| c.is_control() || c.is_whitespace() || "?#\\".contains(c));
    if !is_path || path == "/" {
        return Err(format!("`{path}` is no path"));
    }
    let path = normal_path(&path);
    // Whoever asks for such a path asks for what these steps lead to.
    if path.split('/').any(|step| step == "." || step == "..") {
        return Err(format!("`{path}` is a path that nothing asks for"));
    }
    let is_ours = |ours: &&str| {
        let rest = path.strip_prefix(*ours);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if OUR_PATHS.iter().any(is_ours) {
        return Err(format!(
            "`{path}` is a path that this server answers itself"
        ));
    }
    let chat: ChatId = chat
        .parse()
        .map_err(|_| format!("`{chat}` is no id of a chat"))?;
    let expires_at: Timestamp = expires_at
        .parse()
        .map_err(|_| format!("`{expires_at}` is no time; every legacy link has to expire"))?;
    if expires_at <= now() {
        return Err(format!("`{expires_at}` has passed"));
    }
    Ok(LegacyLink {
        path,
        chat,
        expires_at,
    })
}

/// A path in the one form of all that mean the same: what browsers escape is escaped, and nothing else.
pub(crate) fn normal_path(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let mut normal = String::with_capacity(path.len());
    let mut left = path.as_bytes();
    while let [byte, rest @ ..] = left {
        let escaped = match left {
            [b'%', hex @ ..] => hex
                .get(..2)
                .and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex).ok()),
            _ => None,
        };
        let (byte, is_slash) = match &escaped {
            // An escaped slash is none that parts a path.
            Some(bytes) => (bytes[0], false),
            None => (*byte, *byte == b'/'),
        };
        left = escaped.map_or(rest, |_| &rest[2..]);
        match is_plain(byte) || is_slash {
            true => normal.push(char::from(byte)),
            false => normal.push_str(&format!("%{byte:02X}")),
        }
    }
    normal
}

fn of_csv(error: csv::Error) -> ApiError {
    let line = error.position().map_or(0, csv::Position::line);
    wrong(line, &error.to_string())
}

fn wrong(line: u64, reason: &str) -> ApiError {
    ApiError::bad_request(format!("line {line}: {reason}; nothing was imported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "0123456789abcdef0123456789abcdef";

    fn problem(list: &str) -> String {
        match parse(list.as_bytes()) {
            Ok(links) => panic!("{} links", links.len()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn columns_stand_in_any_order() {
        let list = format!(
            "\u{feff}chat,expires_at,note,path\n{CHAT}, 2030-01-01T00:00:00Z ,x,\"/old/a,b\"\n"
        );
        let links = parse(list.as_bytes()).unwrap();
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].0, 2);
        assert_eq!(links[0].1.path, "/old/a,b");
    }

    #[test]
    fn a_path_has_one_form() {
        for (path, normal) in [
            ("/old/1", "/old/1"),
            ("/old/gespräch", "/old/gespr%C3%A4ch"),
            ("/old/gespr%c3%a4ch/", "/old/gespr%C3%A4ch/"),
            ("/old/\"a\"", "/old/%22a%22"),
            ("/%6fld/a%2fb", "/old/a%2Fb"),
            ("/100%/%zz/%4", "/100%25/%25zz/%254"),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
            assert_eq!(normal_path(normal), normal);
        }
    }

    #[test]
    fn an_error_names_its_line() {
        let head = "path,chat,expires_at\n";
        let good = format!("/old/1,{CHAT},2030-01-01T00:00:00Z\n");
        for (line, part) in [
            (
                format!("old,{CHAT},2030-01-01T00:00:00Z"),
                "line 3: `old` is no path",
            ),
            (format!("//x,{CHAT},2030-01-01T00:00:00Z"), "is no path"),
            (
                format!("/s/x,{CHAT},2030-01-01T00:00:00Z"),
                "answers itself",
            ),
            (
                format!("/assets/x,{CHAT},2030-01-01T00:00:00Z"),
                "answers itself",
            ),
            (
                format!("/signin,{CHAT},2030-01-01T00:00:00Z"),
                "answers itself",
            ),
            (
                format!("/%73/x,{CHAT},2030-01-01T00:00:00Z"),
                "answers itself",
            ),
            (
                format!("/o%6Cd/1,{CHAT},2030-01-01T00:00:00Z"),
                "line 3: `/old/1` is in line 2 already",
            ),
            (format!("/old/2,{CHAT},"), "has to expire"),
            (
                format!("/old/2,{CHAT},2020-01-01T00:00:00Z"),
                "line 3: `2020-01-01T00:00:00.000Z` has passed",
            ),
            (
                format!("/old/../x,{CHAT},2030-01-01T00:00:00Z"),
                "`/old/../x` is a path that nothing asks for",
            ),
            (
                format!("/old/%2e/x,{CHAT},2030-01-01T00:00:00Z"),
                "nothing asks for",
            ),
            (
                "/old/2,x,2030-01-01T00:00:00Z".to_owned(),
                "no id of a chat",
            ),
            ("/old/2".to_owned(), "line 3"),
        ] {
            let problem = problem(&format!("{head}{good}{line}\n"));
            assert!(problem.contains(part), "{line}: {problem}");
        }
        assert!(problem("path,chat\n").contains("no column `expires_at`"));
        assert!(problem("").contains("no column `path`"));
        assert!(problem(head).contains("has no links"));
    }
}
