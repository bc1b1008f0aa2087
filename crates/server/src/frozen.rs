//! Frozen shares: each is a bundle, made on the same path as `readalong export`, with packed forms of its files beside it.
//!
//! A bundle is made anew, under the same link, when something of it changes: the owner's edits, the share's name, visibility or artifacts. Until it
//! is made, requests wait for it: what was taken back is not served once the owner has been told that it is gone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::HeaderValue;
use rayon::prelude::*;
use readalong_bundle::{BundleError, BundleWriter, MANIFEST, Manifest, PackageKind, verify};
use readalong_model::{
    Artifact, Change, ChatId, Digest, Event, Seq, Share, ShareId, ShareVisibility, Snapshot,
    Updates,
};
use readalong_render::{Output, OutputError};
use readalong_store::{ShareChange, Store, StoreError, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    content::{Content, Packing, Source, Takes},
    file_cache::FileCache,
    headers,
    limits::Limits,
    metrics::Metrics,
    packing::pack,
    serve::write_private,
    service::{Service, ServiceError},
    underway::Cut,
};

/// What the manifest names as the bundle's maker: as `readalong export` says it, so that both make the same bundle.
const GENERATOR: &str = concat!("readalong ", env!("CARGO_PKG_VERSION"));
/// Files below this are sent as they are: the packed form would not fit into fewer packets.
const PACKED_BYTES_MIN: u64 = 1_000;
/// Events that are read at once to find out whether the owner changed something.
const EVENTS_AT_ONCE: u32 = 1_000;
/// Times that a bundle is made again because the chat changed meanwhile.
const TRIES_MAX: usize = 5;

/// All frozen shares of a server.
pub(crate) struct FrozenShares {
    bundles: PathBuf,
    packed: PathBuf,
    records: PathBuf,
    open: RwLock<HashMap<ShareId, Arc<OpenBundle>>>,
    /// The owner's last change of a chat since the start, by chat.
    changed: RwLock<HashMap<ChatId, Seq>>,
    making: Mutex<HashMap<ShareId, Arc<tokio::sync::Mutex<()>>>>,
    /// What has to be done besides, by [`FrozenShares::catch_up`].
    pending: Mutex<Pending>,
    catches_up: AtomicBool,
    turns: Semaphore,
    cache: FileCache,
    cached_file_bytes: u64,
    metrics: Arc<Metrics>,
}

/// Says that something has ended, however it did.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A bundle that is served.
pub(crate) struct OpenBundle {
    made: Made,
    files: HashMap<String, ServedFile>,
}

/// A file of a bundle with all that is said of it.
struct ServedFile {
    sha256: Digest,
    size_bytes: u64,
    media_type: HeaderValue,
    /// Lengths of the packed forms that are there.
    gzip_bytes: Option<u64>,
    brotli_bytes: Option<u64>,
    /// The name under which an artifact is kept; `None` for what is no artifact.
    artifact: Option<Option<String>>,
}

/// The bundle as one file, beside the packed forms of its files.
const ZIP: &str = "bundle.zip";

/// What is remembered of the making of a bundle, on disk in `cache`: without it the bundle is made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    bundle: Digest,
    /// Everything that the log said up to here is in it.
    seq: Seq,
    shows: Shows,
    /// Names of artifacts by their files.
    names: BTreeMap<String, String>,
}

/// What of a share stands in its pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shows {
    visibility: ShareVisibility,
    includes_artifacts: bool,
    name: Option<String>,
    frozen_at_seq: Option<Seq>,
}

impl Shows {
    fn holds_for(&self, share: &Share) -> bool {
        self.visibility == share.visibility
            && self.includes_artifacts == share.includes_artifacts
            && self.name == share.name
            && self.frozen_at_seq == share.frozen_at_seq
    }

    fn of(share: &Share) -> Self {
        Self {
            visibility: share.visibility,
            includes_artifacts: share.includes_artifacts,
            name: share.name.clone(),
            frozen_at_seq: share.frozen_at_seq,
        }
    }
}

impl FrozenShares {
    pub(crate) fn new(data: &Path, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            bundles: data.join("bundles"),
            packed: data.join("compressed"),
            records: data.join("cache").join("frozen"),
            open: RwLock::default(),
            changed: RwLock::default(),
            making: Mutex::default(),
            pending: Mutex::default(),
            catches_up: AtomicBool::new(false),
            turns: Semaphore::new(limits.renderings),
            cache: FileCache::new(limits.file_cache_bytes),
            cached_file_bytes: limits.cached_file_bytes,
            metrics,
        }
    }

    /// The bundle of a share as it has to be now; made first where it is not there.
    ///
    /// # Errors
    /// The share is gone, or its bundle could not be made.
    pub(crate) async fn open(
        &self,
        service: &Arc<Service>,
        share: &Share,
    ) -> Result<Arc<OpenBundle>, ServiceError> {
        if let Some(open) = self.fresh(share) {
            return Ok(open);
        }
        let turn = self.turn_of(&share.id);
        let _only_one = turn.lock().await;
        for _ in 0..TRIES_MAX {
            let share = service.share(&share.id)?;
            let share = share.ok_or(StoreError::NotFound)?;
            if share.updates != Updates::Frozen {
                return Err(StoreError::NotFound.into());
            }
            if let Some(open) = self.fresh(&share) {
                return Ok(open);
            }
            self.open_or_make(service, &share).await?;
        }
        // The owner changes the chat faster than it can be rendered.
        Err(ServiceError::Busy)
    }

    /// Takes in what was written, in log order, before whoever wrote it is told.
    pub(crate) fn on_commit(&self, events: &[Event]) {
        for event in events {
            match &event.change {
                change if change.is_owners_edit() => {
                    let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
                    changed.insert(event.chat.clone(), event.seq);
                    lock(&self.pending).chats.insert(event.chat.clone());
                }
                Change::ShareDeleted(id) => {
                    self.close(id);
                    lock(&self.pending).gone.push(id.clone());
                }
                Change::ShareChanged(share) => {
                    let is_live = share.updates == Updates::Live;
                    let shows = Shows::of(share);
                    let is_other = |open: &OpenBundle| is_live || open.made.shows != shows;
                    if self.is_open_and(&share.id, is_other) {
                        self.close(&share.id);
                    }
                    if is_live {
                        lock(&self.pending).gone.push(share.id.clone());
                    }
                }
                _ => {}
            }
        }
    }

    /// Makes bundles anew that the owner's changes have made stale, also where nobody asks for them, and removes those of shares that are gone: what was
    /// taken back does not stay on the disk.
    pub(crate) async fn catch_up(&self, service: &Arc<Service>) {
        if self.catches_up.swap(true, Ordering::SeqCst) {
            return;
        }
        // Also where it panics: the next time it is tried again.
        let _ends = Ends(&self.catches_up);
        let Pending { chats, gone } = std::mem::take(&mut *lock(&self.pending));
        for id in gone {
            if let Err(error) = self.bury(service, id).await {
                tracing::warn!("what a share has left could not be removed: {error}");
            }
        }
        for chat in chats {
            let shares = service
                .read(move |reader| reader.shares_of_chat(&chat))
                .await;
            let frozen = |share: &Share| share.updates == Updates::Frozen;
            for share in shares.unwrap_or_default().into_iter().filter(frozen) {
                if let Err(error) = self.open(service, &share).await {
                    tracing::warn!("a bundle could not be made anew: {error}");
                }
            }
        }
    }

    /// Removes the bundle of a share that has none any more.
    async fn bury(&self, service: &Arc<Service>, id: ShareId) -> Result<(), ServiceError> {
        let record = self.record(&id);
        let Some(made) = read_record(&record) else {
            return Ok(());
        };
        let bundle = made.bundle;
        let is_used = service.read(move |reader| {
            let is_frozen = reader
                .share(&id)?
                .is_some_and(|share| share.updates == Updates::Frozen);
            Ok(is_frozen || reader.bundles()?.contains(&bundle))
        });
        if !is_used.await? {
            self.remove_unused(service, bundle).await;
            // Without its bundle it says nothing.
            let _ = fs::remove_file(record);
        }
        Ok(())
    }

    /// Removes bundles that the owner's changes have made stale before the start: they are made anew when they are asked for.
    pub(crate) fn forget_stale(&self, store: &Store) -> Result<(), StoreError> {
        for entry in fs::read_dir(&self.records).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            let id = id.and_then(|id| id.parse::<ShareId>().ok());
            let (Some(id), Some(made)) = (id, read_record(&entry.path())) else {
                continue;
            };
            let share = store.read(|reader| reader.share(&id))?;
            let share = share.filter(|share| share.bundle == Some(made.bundle));
            let holds = match share {
                Some(share) => unchanged_until(store, &share.chat, made.seq)?.is_some(),
                None => false,
            };
            if !holds {
                self.remove(made.bundle);
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn is_open_and(&self, id: &ShareId, condition: impl Fn(&OpenBundle) -> bool) -> bool {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(id).is_some_and(|open| condition(open))
    }

    fn close(&self, id: &ShareId) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(id);
    }

    /// The right to render a whole chat; few do it at once.
    ///
    /// # Errors
    /// The server is stopping.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, ServiceError> {
        self.turns
            .acquire()
            .await
            .map_err(|_| ServiceError::Stopping)
    }

    /// The open bundle of a share, if it is as it has to be.
    fn fresh(&self, share: &Share) -> Option<Arc<OpenBundle>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let bundle = open.get(&share.id)?;
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let changed = changed.get(&share.chat).copied().unwrap_or(0);
        let made = &bundle.made;
        let is_fresh =
            share.bundle == Some(made.bundle) && made.seq >= changed && made.shows.holds_for(share);
        is_fresh.then(|| bundle.clone())
    }

    fn turn_of(&self, id: &ShareId) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for a turn holds it; the others are done.
        making.retain(|_, turn| Arc::strong_count(turn) > 1);
        making.entry(id.clone()).or_default().clone()
    }

    /// Opens the bundle that is there, or makes a new one and says in the log that it is the share's.
    async fn open_or_make(
        &self,
        service: &Arc<Service>,
        share: &Arc<Share>,
    ) -> Result<(), ServiceError> {
        let _turn = self.turn().await?;
        let work = {
            let (service, share) = (service.clone(), share.clone());
            move || match service.frozen.open_made(&service.store, &share)? {
                Some(open) => Ok::<_, ServiceError>(open),
                None => service.frozen.make(&service, &share),
            }
        };
        let open = tokio::task::spawn_blocking(work).await;
        let open = Arc::new(open.map_err(|_| ServiceError::Stopping)??);
        let bundle = open.made.bundle;
        {
            let mut all = self.open.write().unwrap_or_else(PoisonError::into_inner);
            all.insert(share.id.clone(), open);
        }
        if share.bundle != Some(bundle) {
            let change = ShareChange {
                bundle: Some(Some(bundle)),
                ..ShareChange::default()
            };
            let write = Write::ChangeShare {
                id: share.id.clone(),
                by: None,
                change,
            };
            if let Err(error) = service.write(write).await {
                // The share went away meanwhile; its bundle is nobody's.
                self.close(&share.id);
                self.remove_unused(service, bundle).await;
                let _ = fs::remove_file(self.record(&share.id));
                return Err(error);
            }
            if let Some(old) = share.bundle {
                self.remove_unused(service, old).await;
            }
        }
        Ok(())
    }

    /// The bundle that was made for a share before, if all that is in it still holds.
    fn open_made(&self, store: &Store, share: &Share) -> Result<Option<OpenBundle>, ServiceError> {
        let path = self.record(&share.id);
        let Some(mut made) = read_record(&path) else {
            return Ok(None);
        };
        if share.bundle != Some(made.bundle) || made.shows != Shows::of(share) {
            return Ok(None);
        }
        match unchanged_until(store, &share.chat, made.seq)? {
            None => return Ok(None),
            Some(seq) => made.seq = seq,
        }
        self.load(made)
    }

    /// A bundle with the lengths of its packed forms; `None` where it is not there.
    fn load(&self, made: Made) -> Result<Option<OpenBundle>, ServiceError> {
        let folder = self.bundles.join(made.bundle.to_string());
        let manifest = match Manifest::open(&folder) {
            Ok((manifest, id)) if id == made.bundle => manifest,
            Ok(_) | Err(BundleError::NotABundle { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let packed = self.packed.join(made.bundle.to_string());
        let length = |path: &str, packing: Packing| {
            let path = packed.join(format!("{path}{}", packing.ending()));
            fs::metadata(path).ok().map(|file| file.len())
        };
        let manifest_bytes = fs::metadata(folder.join(MANIFEST)).map_or(0, |file| file.len());
        let files = manifest.files.into_iter().map(|file| {
            let path = file.path.as_str().to_owned();
            let is_artifact = path.starts_with("files/");
            let media_type = match is_artifact {
                true => headers::artifact_type(&file.media_type),
                false => &file.media_type,
            };
            let octets = || HeaderValue::from_static("application/octet-stream");
            let served = ServedFile {
                sha256: file.sha256,
                size_bytes: file.size_bytes,
                media_type: HeaderValue::from_str(media_type).unwrap_or_else(|_| octets()),
                gzip_bytes: length(&path, Packing::Gzip),
                brotli_bytes: length(&path, Packing::Brotli),
                artifact: is_artifact.then(|| made.names.get(&path).cloned()),
            };
            (path, served)
        });
        let mut files: HashMap<String, ServedFile> = files.collect();
        let manifest = ServedFile {
            sha256: made.bundle,
            size_bytes: manifest_bytes,
            media_type: HeaderValue::from_static("application/json"),
            gzip_bytes: None,
            brotli_bytes: None,
            artifact: None,
        };
        files.insert(MANIFEST.to_owned(), manifest);
        Ok(Some(OpenBundle { files, made }))
    }

    /// Takes a snapshot, renders it, writes and verifies the bundle, packs its files. The path of `readalong export`.
    fn make(&self, service: &Service, share: &Share) -> Result<OpenBundle, ServiceError> {
        let store = &service.store;
        // Read before the chat: what is written meanwhile counts as later, and makes the bundle stale.
        let seq = store.last_seq();
        let (mut chat, card) = store.read(|reader| {
            let chat = reader.whole_chat(&share.chat, share.frozen_at_seq)?;
            let chat = chat.ok_or(StoreError::NotFound)?;
            Ok((chat, Service::card(reader, share)?))
        })?;
        chat.share = Some(card);
        let snapshot = Snapshot::take(chat, &Service::options(share));
        let mut output = BundleOutput(BundleWriter::create(&self.bundles)?);
        let blob = |digest| fs::read(store.artifact_path(digest)).ok();
        service.renderer.render(&snapshot, &blob, &mut output)?;
        output.copy_artifacts(&snapshot.artifacts, store)?;
        let written = output.0.finish(GENERATOR)?;
        let verified = verify(&written.path)?;
        if let Some(problem) = verified.problems.first() {
            let damaged = io::Error::other(problem.to_string());
            return Err(ServiceError::io("verifying", &written.path)(damaged));
        }
        self.pack(&written.path, written.id, &verified.manifest)?;
        let names = snapshot.artifacts.iter();
        let names = names.filter_map(|artifact| Some((artifact.path()?, artifact.name.clone())));
        let made = Made {
            bundle: written.id,
            seq,
            shows: Shows::of(share),
            names: names.collect(),
        };
        self.remember(&share.id, &made)?;
        self.metrics.bundles.add(1);
        self.load(made)?.ok_or_else(|| {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            ServiceError::io("opening", &written.path)(missing)
        })
    }

    fn record(&self, id: &ShareId) -> PathBuf {
        self.records.join(format!("{id}.json"))
    }

    fn remember(&self, id: &ShareId, made: &Made) -> Result<(), ServiceError> {
        let path = self.record(id);
        let text = serde_json::to_vec(made).map_err(io::Error::other);
        let written = text.and_then(|text| {
            fs::create_dir_all(&self.records)?;
            write_private(&path, &text)
        });
        written.map_err(ServiceError::io("writing", &path))
    }

    /// Writes packed forms of what gets smaller by it, into a folder that takes the bundle's name when it is whole.
    fn pack(&self, bundle: &Path, id: Digest, manifest: &Manifest) -> Result<(), ServiceError> {
        let folder = self.packed.join(id.to_string());
        if folder.exists() {
            return Ok(());
        }
        let packed = (|| {
            fs::create_dir_all(&self.packed)?;
            let new = tempfile::Builder::new()
                .prefix(".partial-")
                .tempdir_in(&self.packed)?;
            manifest.files.par_iter().try_for_each(|file| {
                let is_text =
                    is_text(&file.media_type) && !file.path.as_str().starts_with("files/");
                match is_text && file.size_bytes >= PACKED_BYTES_MIN {
                    true => pack(
                        &bundle.join(file.path.as_str()),
                        &new.path().join(file.path.as_str()),
                    ),
                    false => Ok(()),
                }
            })?;
            match fs::rename(new.path(), &folder) {
                Err(_) if folder.exists() => Ok(()),
                renamed => renamed,
            }
        })();
        packed.map_err(ServiceError::io("packing into", &folder))
    }

    /// Removes a bundle that no share serves any more.
    async fn remove_unused(&self, service: &Arc<Service>, bundle: Digest) {
        let service = service.clone();
        let work = move || {
            let frozen = &service.frozen;
            let is_used = {
                let open = frozen.open.read().unwrap_or_else(PoisonError::into_inner);
                open.values().any(|open| open.made.bundle == bundle)
            };
            if !is_used {
                frozen.remove(bundle);
            }
        };
        // Where it fails the folder stays until the next start.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    fn remove(&self, bundle: Digest) {
        for parent in [&self.bundles, &self.packed] {
            let folder = parent.join(bundle.to_string());
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("`{}` cannot be removed: {error}", folder.display());
                }
                _ => {}
            }
        }
    }

    /// Removes all bundles but these, and what crashes have left. Called at the start, while nobody else writes.
    pub(crate) fn keep_only(&self, used: &HashSet<Digest>) {
        for parent in [&self.bundles, &self.packed] {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let digest = name.to_str().and_then(|name| name.parse::<Digest>().ok());
                if digest.is_none_or(|digest| !used.contains(&digest)) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
    }

    /// A file of a bundle, in the smallest form that the client takes; `None` where the bundle has none of that name. It goes as far as it is not cut.
    pub(crate) fn file(
        &self,
        bundle: &OpenBundle,
        path: &str,
        (takes, cut): (Takes, Cut),
    ) -> Option<Found> {
        let file = bundle.files.get(path)?;
        let (packing, size_bytes) = match (takes, file.brotli_bytes, file.gzip_bytes) {
            (Takes { brotli: true, .. }, Some(size), _) => (Packing::Brotli, size),
            (Takes { gzip: true, .. }, _, Some(size)) => (Packing::Gzip, size),
            _ => (Packing::Plain, file.size_bytes),
        };
        let content = Content {
            media_type: file.media_type.clone(),
            sha256: file.sha256,
            packing,
            source: self.source((bundle, path), (file.sha256, packing), size_bytes, cut),
        };
        Some(Found {
            content,
            artifact: file.artifact.clone(),
        })
    }

    /// A bundle as a zip: packed when it is asked for first, and kept as long as the bundle.
    ///
    /// # Errors
    /// The bundle is gone or damaged, or the disk is full.
    pub(crate) async fn zip(
        &self,
        share: &ShareId,
        bundle: &OpenBundle,
        cut: Cut,
    ) -> Result<Content, ServiceError> {
        let id = bundle.made.bundle;
        let path = self.packed.join(id.to_string()).join(ZIP);
        if !path.exists() {
            let turn = self.turn_of(share);
            let _only_one = turn.lock().await;
            if !path.exists() {
                let _turn = self.turn().await?;
                let (from, to) = (self.bundles.join(id.to_string()), path.clone());
                let packed = tokio::task::spawn_blocking(move || pack_zip(&from, &to)).await;
                packed.map_err(|_| ServiceError::Stopping)??;
            }
        }
        let size = fs::metadata(&path).map(|file| file.len());
        Ok(Content {
            media_type: HeaderValue::from_static("application/zip"),
            // The same bundle gives the same zip.
            sha256: id,
            packing: Packing::Plain,
            source: Source::File {
                size_bytes: size.map_err(ServiceError::io("opening", &path))?,
                cut,
                path,
            },
        })
    }

    /// Small files from memory, others from disk.
    fn source(
        &self,
        (bundle, path): (&OpenBundle, &str),
        key: (Digest, Packing),
        size_bytes: u64,
        cut: Cut,
    ) -> Source {
        let is_small = size_bytes <= self.cached_file_bytes;
        if is_small && let Some(bytes) = self.cache.known(key) {
            return Source::Bytes(bytes);
        }
        let parent = match key.1 {
            Packing::Plain => &self.bundles,
            Packing::Gzip | Packing::Brotli => &self.packed,
        };
        let path = parent
            .join(bundle.made.bundle.to_string())
            .join(format!("{path}{}", key.1.ending()));
        // Reading a small file takes as long as opening it; the next request finds it in memory.
        if is_small && let Ok(bytes) = fs::read(&path) {
            let bytes = Bytes::from(bytes);
            self.cache.keep(key, &bytes);
            return Source::Bytes(bytes);
        }
        Source::File {
            path,
            size_bytes,
            cut,
        }
    }
}

/// Packs a bundle as one file. Whoever comes meanwhile sees none, and where the bundle goes meanwhile its folder takes the file with it.
fn pack_zip(bundle: &Path, to: &Path) -> Result<(), ServiceError> {
    let verified = verify(bundle)?.into_verified();
    let packed = (|| {
        let verified = verified.map_err(|_| io::Error::other("the bundle is damaged"))?;
        let folder = to.parent().unwrap_or(to);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut out = io::BufWriter::new(&mut file);
        readalong_bundle::pack(&verified, PackageKind::Zip, &mut out).map_err(io::Error::other)?;
        out.flush()?;
        drop(out);
        file.persist(to)?;
        Ok(())
    })();
    packed.map_err(ServiceError::io("packing", to))
}

/// What has to be done when there is time.
#[derive(Default)]
struct Pending {
    /// Chats that their owners changed.
    chats: HashSet<ChatId>,
    /// Shares that have no bundle any more.
    gone: Vec<ShareId>,
}

fn read_record(path: &Path) -> Option<Made> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that was found in a bundle.
pub(crate) struct Found {
    /// The file.
    pub(crate) content: Content,
    /// The name under which an artifact is kept; `None` for what is no artifact.
    pub(crate) artifact: Option<Option<String>>,
}

/// The last event up to which the owner changed nothing of a chat after `since`; `None` where something was changed.
fn unchanged_until(store: &Store, chat: &ChatId, since: Seq) -> Result<Option<Seq>, StoreError> {
    let last = store.last_seq();
    let mut after = since;
    loop {
        let events = store.read(|reader| reader.events(after, Some(chat), EVENTS_AT_ONCE))?;
        let Some(newest) = events.last() else {
            return Ok(Some(last.max(since)));
        };
        after = newest.seq;
        if events.iter().any(|event| event.change.is_owners_edit()) {
            return Ok(None);
        }
    }
}

/// Takes what is rendered into a bundle.
struct BundleOutput(BundleWriter);

impl BundleOutput {
    fn copy_artifacts(&mut self, artifacts: &[Artifact], store: &Store) -> Result<(), BundleError> {
        for artifact in artifacts {
            if let (Some((sha256, _)), Some(path)) = (artifact.bytes(), artifact.path()) {
                // What is stored under an inert name is announced as such.
                let media_type = match path.ends_with(".txt") {
                    true => "text/plain; charset=utf-8",
                    false => &artifact.media_type,
                };
                self.0
                    .copy(&path, media_type, &store.artifact_path(sha256))?;
            }
        }
        Ok(())
    }
}

impl Output for BundleOutput {
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError> {
        Ok(self.0.write(path, media_type(path), pieces)?)
    }
}

/// The media type of a file that we render or that a theme brings.
pub(crate) fn media_type(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("md") => "text/markdown; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || ["application/json", "image/svg+xml"].contains(&media_type)
}
