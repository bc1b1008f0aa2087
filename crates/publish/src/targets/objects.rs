//! Object storage: S3 and what speaks like it, Google Cloud Storage, Azure.
//!
//! The crate `object_store` speaks to them and finds credentials where each provider's own tools look for them: environment, instance, workload identity.
//! A head is only written over what was read, so that of two publishers of one share one is told. Its futures need a runtime, which lives in here.

use std::{
    collections::{BTreeSet, HashMap},
    env,
    io::{self, Write},
    path::Path as FilePath,
    sync::Once,
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use md5::{Digest as _, Md5};
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, UpdateVersion, path::Path,
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::{
    Changes, File, Head, Listed, Origin, PublishError, Session, SitePath, Target, Watch,
    without_credentials,
};

/// Schemes of the addresses that we take.
const SCHEMES: [&str; 9] = [
    "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "memory",
];
/// Requests that are under way at once.
const REQUESTS_AT_ONCE: usize = 16;
/// Files above this are sent in pieces of this size, in bytes: object storage takes pieces of 5 MiB and more.
const PIECE_BYTES: u64 = 16 << 20;
/// Texts below this are sent as they are, in bytes.
const PACKED_BYTES_MIN: u64 = 1_000;
/// Where machines of the providers are asked for their own credentials, when the environment has none.
const OWN_CREDENTIALS: [&str; 4] = [
    "/latest/api/token",
    "/latest/meta-data/",
    "/computeMetadata/",
    "/metadata/identity/",
];
/// What never changes may be kept for so long without asking. Not for ever: what is taken back should fade from caches within the hour.
const LASTING: &str = "public, max-age=3600";
/// What changes has to be asked for each time; with its ETag that costs nothing.
const CHANGING: &str = "no-cache";

/// A bucket or container, and a folder in it.
pub(crate) struct Objects {
    name: String,
    store: Box<dyn ObjectStore>,
    root: Path,
    runtime: Runtime,
}

/// Takes addresses such as `s3://bucket/folder`.
pub(crate) fn open(text: &str) -> Option<Result<Box<dyn Target>, PublishError>> {
    let (scheme, _) = text.split_once("://")?;
    SCHEMES
        .contains(&scheme)
        .then(|| Objects::open(text).map(|objects| Box::new(objects) as Box<dyn Target>))
}

impl Objects {
    fn open(text: &str) -> Result<Self, PublishError> {
        install_tls();
        let url = Url::parse(text);
        // Whoever put a password into the address does not want to read it again.
        let name = without_credentials(text);
        let bad = |reason: String| PublishError::BadTarget {
            target: name.clone(),
            reason,
        };
        let url = url.map_err(|error| bad(error.to_string()))?;
        let settings = env::vars().filter(|(key, _)| {
            ["AWS_", "GOOGLE_", "AZURE_"]
                .iter()
                .any(|prefix| key.starts_with(prefix))
        });
        let (store, root) =
            object_store::parse_url_opts(&url, settings).map_err(|error| bad(error.to_string()))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            name,
            store,
            root,
            runtime,
        })
    }

    fn at(&self, path: &SitePath) -> Path {
        path.as_str()
            .split('/')
            .fold(self.root.clone(), |path, piece| path.join(piece))
    }

    /// The name in the site of an object, if it can have one.
    fn name_of(&self, path: &Path) -> Option<SitePath> {
        let path: &str = path.as_ref();
        let below = match self.root.as_ref() {
            "" => path,
            root => path.strip_prefix(root)?.strip_prefix('/')?,
        };
        SitePath::parse(below)
    }

    fn failed(&self, action: &'static str, path: &str, source: Error) -> PublishError {
        let target = self.name.clone();
        let says = first_cause(&source);
        let says_all = source.to_string();
        if OWN_CREDENTIALS.iter().any(|path| says_all.contains(path)) {
            let says = format!(
                "no credentials were found in the environment, and this machine has none of its own ({says})"
            );
            return PublishError::Denied { target, says };
        }
        match source {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                PublishError::Denied { target, says }
            }
            _ if says_all.contains("NoSuchBucket") || says_all.contains("ContainerNotFound") => {
                PublishError::NoBucket { target }
            }
            _ if says.contains("507 Insufficient Storage") => PublishError::Full { target },
            _ => PublishError::Storage {
                target,
                action,
                path: path.to_owned(),
                says,
            },
        }
    }

    async fn send(&self, file: &File, watch: &dyn Watch) -> Result<(), PublishError> {
        if watch.is_cancelled() {
            return Err(PublishError::Cancelled {
                target: self.name.clone(),
            });
        }
        let to = self.at(&file.path);
        if let Origin::There { path, .. } = &file.origin {
            match self.store.copy(&self.at(path), &to).await {
                // Who published or took back the share meanwhile removed it. That is found out by the heads; the bytes are here, too.
                Err(Error::NotFound { .. }) => {}
                copied => {
                    return copied.map_err(|error| self.failed("copying", path.as_str(), error));
                }
            }
        }
        let failed = |error| self.failed("sending", file.path.as_str(), error);
        let unread = |path: &FilePath, source| PublishError::Io {
            target: self.name.clone(),
            action: "reading",
            path: path.to_owned(),
            source,
        };
        if let Some(path) = file.origin.here()
            && file.size_bytes > PIECE_BYTES
        {
            let is_packed = is_text(&file.media_type);
            let options = PutMultipartOptions {
                attributes: attributes(&file.media_type, caching(file), is_packed),
                ..PutMultipartOptions::default()
            };
            let source = std::fs::File::open(path).map_err(|error| unread(path, error))?;
            let mut source: Box<dyn io::Read + Send> = match is_packed {
                true => Box::new(GzBuilder::new().read(source, Compression::best())),
                false => Box::new(source),
            };
            let mut left_bytes = file.size_bytes;
            let mut upload = self
                .store
                .put_multipart_opts(&to, options)
                .await
                .map_err(failed)?;
            loop {
                let mut piece = Vec::new();
                let read = io::Read::read_to_end(
                    &mut io::Read::take(&mut source, PIECE_BYTES),
                    &mut piece,
                );
                let read = read.map_err(|error| unread(path, error))?;
                if read == 0 {
                    break;
                }
                if let Err(error) = upload.put_part(PutPayload::from(piece)).await {
                    let _ = upload.abort().await;
                    return Err(failed(error));
                }
                let sent = left_bytes.min(read as u64);
                watch.sent(sent);
                left_bytes -= sent;
            }
            upload.complete().await.map_err(failed)?;
            watch.sent(left_bytes);
            return Ok(());
        }
        let bytes = file.origin.read().map_err(|error| match &file.origin {
            Origin::File(path) | Origin::There { here: path, .. } => unread(path, error),
            Origin::Bytes(_) => unread(FilePath::new(file.path.as_str()), error),
        })?;
        let (bytes, is_packed) = pack(bytes, &file.media_type);
        let options = PutOptions {
            attributes: attributes(&file.media_type, caching(file), is_packed),
            ..PutOptions::default()
        };
        self.store
            .put_opts(&to, bytes.into(), options)
            .await
            .map_err(failed)?;
        watch.sent(file.size_bytes);
        Ok(())
    }
}

impl Target for Objects {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        self.name.trim_end_matches('/').to_owned()
    }

    fn begin(&self, _watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError> {
        Ok(Box::new(ObjectsSession {
            objects: self,
            read: HashMap::new(),
            tags: HashMap::new(),
        }))
    }
}

struct ObjectsSession<'a> {
    objects: &'a Objects,
    /// The version of each object that was looked at; `None` where there was none.
    read: HashMap<SitePath, Option<UpdateVersion>>,
    /// The ETag of each object that was listed.
    tags: HashMap<SitePath, String>,
}

impl ObjectsSession<'_> {
    /// Writes a head over what was read before.
    async fn replace(&self, head: &Head, watch: &dyn Watch) -> Result<(), PublishError> {
        let objects = self.objects;
        let mode = match self.read.get(&head.path) {
            None => PutMode::Overwrite,
            Some(None) => PutMode::Create,
            Some(Some(version)) => PutMode::Update(version.clone()),
        };
        let to = objects.at(&head.path);
        let put = async |mode| {
            let (bytes, is_packed) = pack(head.bytes.clone(), head.media_type);
            let options = PutOptions {
                mode,
                attributes: attributes(head.media_type, CHANGING, is_packed),
                ..PutOptions::default()
            };
            objects.store.put_opts(&to, bytes.into(), options).await
        };
        let written = match put(mode).await {
            // Not every storage can compare; then the last one wins.
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                put(PutMode::Overwrite).await
            }
            written => written,
        };
        match written {
            Ok(_) => {
                watch.sent(head.bytes.len() as u64);
                Ok(())
            }
            Err(
                Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. },
            ) if self.read.contains_key(&head.path) => Err(PublishError::MovedOn {
                target: objects.name.clone(),
            }),
            Err(error) => Err(objects.failed("sending", head.path.as_str(), error)),
        }
    }
}

impl Session for ObjectsSession<'_> {
    fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError> {
        let objects = self.objects;
        let read = objects.runtime.block_on(async {
            match objects.store.get(&objects.at(path)).await {
                // A missing bucket looks like a missing object to some; it is found out by the first write.
                Err(Error::NotFound { source, .. })
                    if !source.to_string().contains("NoSuchBucket") =>
                {
                    Ok(None)
                }
                Err(error) => Err(error),
                Ok(found) => {
                    let version = UpdateVersion {
                        e_tag: found.meta.e_tag.clone(),
                        version: found.meta.version.clone(),
                    };
                    let is_packed = found
                        .attributes
                        .get(&Attribute::ContentEncoding)
                        .is_some_and(|encoding| encoding.as_ref() == "gzip");
                    let bytes = found.bytes().await?;
                    Ok(Some((version, unpack(bytes, is_packed))))
                }
            }
        });
        let read = read.map_err(|error| objects.failed("reading", path.as_str(), error))?;
        self.read.insert(
            path.clone(),
            read.as_ref().map(|(version, _)| version.clone()),
        );
        Ok(read.map(|(_, bytes)| bytes))
    }

    fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError> {
        let objects = self.objects;
        let listed = objects.store.list(Some(&objects.at(folder)));
        let listed = objects.runtime.block_on(listed.try_collect::<Vec<_>>());
        let listed = listed.map_err(|error| objects.failed("listing", folder.as_str(), error))?;
        let listed = listed.into_iter().filter_map(|meta| {
            let path = objects.name_of(&meta.location)?;
            if let Some(tag) = meta.e_tag {
                self.tags.insert(path.clone(), tag);
            }
            Some(Listed {
                path,
                size_bytes: None,
            })
        });
        Ok(listed.collect())
    }

    fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError> {
        let mut damaged = BTreeSet::new();
        let mut is_md5 = false;
        for file in files {
            let there = self.tags.get(&file.path).and_then(|tag| md5_of_tag(tag));
            let (Some(there), Some(here)) = (there, file.origin.here()) else {
                continue;
            };
            let bytes = std::fs::read(here).map_err(|source| PublishError::Io {
                target: self.objects.name.clone(),
                action: "reading",
                path: here.to_owned(),
                source,
            })?;
            match md5(&pack(bytes, &file.media_type).0) == there {
                true => is_md5 = true,
                false => drop(damaged.insert(file.path.clone())),
            }
        }
        // Where none agrees, tags are something else there, as of what the storage encrypts.
        Ok(if is_md5 { damaged } else { BTreeSet::new() })
    }

    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError> {
        let objects = self.objects;
        let at = objects.at(folder);
        let found = objects
            .runtime
            .block_on(objects.store.list_with_delimiter(Some(&at)));
        let found = found.map_err(|error| objects.failed("listing", folder.as_str(), error))?;
        let names = found
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned));
        Ok(names.collect())
    }

    fn removes_what_was_read(&self) -> bool {
        false
    }

    fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError> {
        let objects = self.objects;
        objects.runtime.block_on(async {
            let sending = stream::iter(changes.new_files()).map(|file| objects.send(file, watch));
            sending
                .buffer_unordered(REQUESTS_AT_ONCE)
                .try_collect::<()>()
                .await?;
            for head in &changes.heads {
                if watch.is_cancelled() {
                    return Err(PublishError::Cancelled {
                        target: objects.name.clone(),
                    });
                }
                self.replace(head, watch).await?;
            }
            Ok(())
        })?;
        if changes.removed.is_empty() {
            return Ok(());
        }
        watch.visible();
        let paths: Vec<_> = changes
            .removed
            .iter()
            .map(|path| Ok(objects.at(path)))
            .collect();
        let removed = objects.store.delete_stream(stream::iter(paths).boxed());
        let removed = removed.filter(|removed| {
            let is_gone = matches!(removed, Err(Error::NotFound { .. }));
            std::future::ready(!is_gone)
        });
        let removed = objects.runtime.block_on(removed.try_collect::<Vec<_>>());
        removed
            .map(drop)
            .map_err(|error| objects.failed("removing files", changes.removed[0].as_str(), error))
    }
}

/// What the first cause of an error says: those above it say the same again, with more and more around it.
fn first_cause(error: &dyn std::error::Error) -> String {
    let mut first = error;
    while let Some(source) = first.source() {
        first = source;
    }
    first.to_string().trim_end_matches([':', ' ']).to_owned()
}

/// The MD5 of an object's bytes, where its ETag can be one: it is for what was sent at once and is not encrypted by a key of its own.
fn md5_of_tag(tag: &str) -> Option<&str> {
    let tag = tag.trim_matches('"');
    let is_one = tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then_some(tag)
}

fn md5(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long caches may keep a file without asking.
fn caching(file: &File) -> &'static str {
    match file.is_lasting {
        true => LASTING,
        false => CHANGING,
    }
}

/// What is said of an object.
fn attributes(media_type: &str, caching: &'static str, is_packed: bool) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, media_type.to_owned().into());
    attributes.insert(Attribute::CacheControl, caching.into());
    if is_packed {
        attributes.insert(Attribute::ContentEncoding, "gzip".into());
    }
    attributes
}

/// Packs texts: object storage sends what it has. Always to the same bytes.
fn pack(bytes: Vec<u8>, media_type: &str) -> (Vec<u8>, bool) {
    if !is_text(media_type) || (bytes.len() as u64) < PACKED_BYTES_MIN {
        return (bytes, false);
    }
    let mut packer = GzBuilder::new().write(Vec::new(), Compression::best());
    match packer.write_all(&bytes).and_then(|()| packer.finish()) {
        Ok(packed) if packed.len() < bytes.len() => (packed, true),
        _ => (bytes, false),
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || matches!(media_type, JSON_TYPE | SVG_TYPE)
}

const JSON_TYPE: &str = "application/json";
const SVG_TYPE: &str = "image/svg+xml";
/// The longest file that is unpacked, in bytes: manifests and heads are far below it.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

fn unpack(bytes: Bytes, is_packed: bool) -> Vec<u8> {
    if !is_packed || !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.into();
    }
    let mut plain = Vec::new();
    let unpacker = flate2::read::GzDecoder::new(&*bytes);
    match io::Read::read_to_end(
        &mut io::Read::take(unpacker, UNPACKED_BYTES_MAX),
        &mut plain,
    ) {
        Ok(_) => plain,
        Err(_) => bytes.into(),
    }
}

/// TLS needs to be told which implementation of its algorithms to use, once a process.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another one that is there already does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use readalong_model::{ShareId, Timestamp};

    use super::*;
    use crate::{
        LiveRecord, LiveStep, LiveVersion, NewFile, live_step,
        site::tests::{Plain, Unseen},
    };

    #[test]
    fn what_a_page_that_grows_writes_over_is_asked_for_each_time() {
        let objects = Objects::open("memory:///site").unwrap();
        let share = ShareId::from_random([1; 16]);
        let record = |last| LiveRecord {
            epoch: "epoch".to_owned(),
            seq: last,
            first: 1,
            last,
            page: "index.html".to_owned(),
            page_bytes: 3,
            since_bytes: 0,
        };
        let (first, second) = (record(0), record(1));
        let names = [
            "index.html",
            "index.js",
            "data/search-index.js",
            "assets/1.css",
            "files/1.png",
        ];
        let files =
            names.map(|name| NewFile::bytes(name.to_owned(), b"one".to_vec(), "text/plain"));
        let step = |version, frames| LiveStep {
            folder: "0123456789abcdef",
            before: None,
            version,
            frames,
            pages: Vec::new(),
            files: Vec::new(),
            removed: Vec::new(),
            stale: Vec::new(),
            record: if frames.is_empty() { &first } else { &second },
            dress: &|_, bytes| bytes,
            first_page: "index.html",
            is_head_new: true,
            title: None,
            at: Timestamp::from_millis(1).unwrap(),
        };
        let begin = LiveVersion {
            files: files.into(),
        };
        let frames = ["{}".to_owned()];
        let sends = |step| live_step(&objects, &share, step, &Plain, &Unseen).unwrap();
        sends(step(Some(begin), &[]));
        let caching = |name: &str| {
            let path = SitePath::share(&share).below(&format!("0123456789abcdef/{name}"));
            let at = objects.at(&path.unwrap());
            let found = objects.runtime.block_on(objects.store.get(&at)).unwrap();
            found
                .attributes
                .get(&Attribute::CacheControl)
                .unwrap()
                .to_string()
        };
        for _ in 0..2 {
            for name in [
                "index.html",
                "index.js",
                "data/search-index.js",
                "data/live.js",
            ] {
                assert_eq!(caching(name), CHANGING, "{name}");
            }
            for name in ["assets/1.css", "files/1.png"] {
                assert_eq!(caching(name), LASTING, "{name}");
            }
            sends(step(None, &frames));
        }
        assert_eq!(caching("data/live-1.js"), LASTING);
    }
}
