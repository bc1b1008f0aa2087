//! What every route works on: the store, the renderer, the shares that are open, the limits and the counts.
//!
//! Everything that is written goes through [`Service::write`], [`Service::create_share`] or [`Service::change_share`]: they cut viewers whose
//! right ends and make the bundles of frozen shares before anybody can open them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Uri, header::HOST, uri::Authority};
use readalong_live::{protocol::CloseCode, redacting::Redactions};
use readalong_model::{
    Change, Digest, Event, Share, ShareCard, ShareId, ShareVisibility, SnapshotOptions, Timestamp,
    Updates, UserId,
};
use readalong_render::Renderer;
use readalong_store::{Reader, ShareChange, Store, StoreError, User, Write, Written};
use tokio::sync::{oneshot, watch};

use crate::{
    accounts::{self, Accounts},
    auth::Rights,
    follow::Followers,
    frozen::{self, FrozenShares},
    limits::{Addresses, Limits},
    live_share::{LivePage, LiveShares},
    metrics::Metrics,
    oidc::Oidc,
    routes::{api::ApiState, errors::Notices},
    setup::Setup,
    signin::SignInOptions,
    switches::Switches,
    underway::Underway,
};

/// Shares whose records are kept in memory; beyond it all are read again.
const SHARES_KNOWN_MAX: usize = 20_000;
/// Bytes of a host with its port; names of hosts have 253 at most.
const HOST_BYTES_MAX: usize = 300;
/// Who shared a chat whose owner has no name.
const NOBODY: &str = "somebody";

/// What can go wrong in doing what a request asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServiceError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chat could not be rendered.
    #[error(transparent)]
    Render(#[from] readalong_render::RenderError),
    /// A bundle could not be written or is damaged.
    #[error(transparent)]
    Bundle(#[from] readalong_bundle::BundleError),
    /// A file of the data folder could not be read or written.
    #[error("{doing} `{path}`")]
    Io {
        /// What was done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Public sharing is switched off.
    #[error("public sharing is switched off on this server; share with signed-in viewers instead")]
    NothingPublic,
    /// Too much is asked for at once.
    #[error("the chat changes faster than it can be rendered; try again in a moment")]
    Busy,
    /// A live share ended while it was opened. The code says how.
    #[error("the live share ended: {}", .0.reason())]
    Ended(CloseCode),
    /// The server stops while it was at work.
    #[error("the server is stopping")]
    Stopping,
}

impl ServiceError {
    /// True where the disk has no room.
    pub(crate) fn is_disk_full(&self) -> bool {
        if matches!(self, Self::Store(StoreError::Full)) {
            return true;
        }
        let causes =
            std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        let mut files = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        files.any(|cause| cause.kind() == std::io::ErrorKind::StorageFull)
    }
}

impl ServiceError {
    pub(crate) fn io(
        doing: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// What every route works on; shared by all.
pub(crate) struct Service {
    /// The log and its tables.
    pub(crate) store: Store,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Makes pages.
    pub(crate) renderer: Arc<Renderer>,
    /// Records of shares that were asked for.
    pub(crate) shares: Arc<ShareTable>,
    /// Live shares that somebody looks at.
    pub(crate) live: Arc<LiveShares>,
    /// Bundles of frozen shares.
    pub(crate) frozen: Arc<FrozenShares>,
    /// Files of shares that are on their way.
    pub(crate) underway: Arc<Underway>,
    /// What is remembered about signing in.
    pub(crate) accounts: Accounts,
    /// What those who asked lately may do.
    pub(crate) rights: Rights,
    /// What the API remembers between two requests.
    pub(crate) api: ApiState,
    /// What every address takes.
    pub(crate) addresses: Addresses,
    /// How much anybody may take.
    pub(crate) limits: Limits,
    /// Pages for where there is nothing to see.
    pub(crate) notices: Notices,
    /// How people sign in elsewhere.
    pub(crate) signin: SignInOptions,
    /// Where people are sent to who sign in with a provider.
    pub(crate) oidc: Option<Oidc>,
    /// What is switched for the whole server.
    switches: RwLock<Switches>,
    /// The making of the first account, as long as there is none and others could come.
    pub(crate) setup: Setup,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Digest of the token that commands on this machine act with; it is new at every start.
    pub(crate) command_token: Digest,
    /// True from the moment on at which the server is told to stop.
    pub(crate) stopping: watch::Sender<bool>,
    /// The theme's files, as live pages name them.
    assets: HashMap<String, Arc<LivePage>>,
    base_url: OnceLock<String>,
    root: String,
    /// What links begin with as long as nobody serves: where the folder was served last.
    last_url: OnceLock<String>,
    /// The address was given, and not found out from where the server listens.
    has_own_url: AtomicBool,
    /// It answers others, and goes on: what is held back can be released.
    is_serving: AtomicBool,
    /// Takes secrets out of what is written.
    pub(crate) redactions: Arc<Redactions>,
    /// What the server follows.
    pub(crate) followers: Followers,
}

/// What a service is made of.
pub(crate) struct ServiceParts {
    pub(crate) store: Store,
    pub(crate) data: PathBuf,
    pub(crate) redactions: Arc<Redactions>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) shares: Arc<ShareTable>,
    pub(crate) live: Arc<LiveShares>,
    pub(crate) frozen: Arc<FrozenShares>,
    pub(crate) underway: Arc<Underway>,
    pub(crate) limits: Limits,
    pub(crate) notices: Notices,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) command_token: Digest,
    /// The address that people use, where its owner has given one.
    pub(crate) own_url: Option<String>,
    pub(crate) signin: SignInOptions,
    pub(crate) switches: Switches,
}

impl Service {
    pub(crate) fn new(parts: ServiceParts) -> Arc<Self> {
        let renderer = parts.renderer.clone();
        let assets = renderer.assets().map(|(path, bytes)| {
            let page = LivePage::new(frozen::media_type(path), bytes.to_vec());
            (path.to_owned(), Arc::new(page))
        });
        let service = Self {
            accounts: Accounts::default(),
            rights: Rights::default(),
            api: ApiState::default(),
            addresses: Addresses::new(&parts.limits),
            store: parts.store,
            data: parts.data,
            renderer: parts.renderer,
            shares: parts.shares,
            live: parts.live,
            frozen: parts.frozen,
            underway: parts.underway,
            limits: parts.limits,
            notices: parts.notices,
            oidc: parts.signin.oidc.clone().map(Oidc::new),
            signin: parts.signin,
            switches: RwLock::new(parts.switches),
            setup: Setup::default(),
            metrics: parts.metrics,
            command_token: parts.command_token,
            stopping: watch::Sender::new(false),
            assets: assets.collect(),
            base_url: OnceLock::new(),
            root: root_of(parts.own_url.as_deref()),
            last_url: OnceLock::new(),
            has_own_url: AtomicBool::new(false),
            is_serving: AtomicBool::new(false),
            redactions: parts.redactions,
            followers: Followers::default(),
        };
        if let Some(url) = &parts.own_url {
            service.set_base_url(url);
            service.has_own_url.store(true, Ordering::Relaxed);
        }
        Arc::new(service)
    }

    /// The address that links begin with, without a slash at its end; `None` as long as it is not known.
    pub(crate) fn base_url(&self) -> Option<&str> {
        self.base_url.get().map(String::as_str)
    }

    /// Says under which address people reach the server. The first word counts.
    pub(crate) fn set_base_url(&self, url: &str) {
        let _ = self.base_url.set(url.trim_end_matches('/').to_owned());
    }

    /// What paths of the server begin with for whoever asks, with a slash at its end: `/`, or `/chats/` where a proxy has the server below that.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The path of ours that a browser knows as this one.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{}", self.root, path.trim_start_matches('/'))
    }

    /// A file of the theme, by its path.
    pub(crate) fn asset(&self, path: &str) -> Option<Arc<LivePage>> {
        self.assets.get(path).cloned()
    }

    /// True where the address under which people reach the server was given: a proxy may stand before it.
    pub(crate) fn has_own_url(&self) -> bool {
        self.has_own_url.load(Ordering::Relaxed)
    }

    /// Says that the server answers others from now on.
    pub(crate) fn set_serving(&self) {
        self.is_serving.store(true, Ordering::Relaxed);
    }

    /// True where the server answers others, and goes on.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_serving.load(Ordering::Relaxed)
    }

    /// Says where the folder was served last.
    pub(crate) fn set_last_url(&self, url: &str) {
        let _ = self.last_url.set(url.to_owned());
    }

    /// What links begin with, without a slash at its end.
    pub(crate) fn link_base(&self) -> &str {
        let last = || self.last_url.get().map(String::as_str);
        self.base_url().or_else(last).unwrap_or_default()
    }

    /// The address under which a request's sender reaches the server: the one that was given, else the one that was asked.
    pub(crate) fn url_seen_by(&self, headers: &HeaderMap) -> String {
        let own = self.link_base();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_host =
            |host: &&str| host.len() <= HOST_BYTES_MAX && host.parse::<Authority>().is_ok();
        match host.filter(|_| !self.has_own_url()).filter(is_host) {
            Some(host) => format!("http://{host}"),
            None => own.to_owned(),
        }
    }

    /// Reads what takes a moment at most: a record by its id.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn read_now<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.store.read(read)
    }

    /// Reads what may take long, on a thread for that.
    ///
    /// # Errors
    /// The store failed, or the server is stopping.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || store.read(read));
        Ok(read.await.map_err(|_| ServiceError::Stopping)??)
    }

    /// Writes, without secrets; answers when it is durable. What a source brings goes through [`Service::bring`]. Viewers whose sign-in ends by it are cut.
    ///
    /// # Errors
    /// The store refused or failed.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, ServiceError> {
        let ends_rights = ends_rights(&write);
        let ends_account = matches!(write, Write::RemoveUser { .. });
        let write = self.without_secrets(write);
        let (done, written) = oneshot::channel();
        self.store.write(write, move |result| {
            let _ = done.send(result);
        });
        let written = written.await.map_err(|_| ServiceError::Stopping)??;
        if ends_rights {
            self.live.check_rights_of_all(self);
        }
        if ends_account {
            self.underway.cut_private(self);
        }
        Ok(written)
    }

    /// True where an owner can sign in with a password.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn has_owner(&self) -> Result<bool, StoreError> {
        let users = self.read_now(|reader| reader.users())?;
        let is_owner = |user: &User| accounts::is_owner(user.role) && user.has_password;
        Ok(users.iter().any(is_owner))
    }

    /// What is switched for the whole server.
    pub(crate) fn switches(&self) -> Switches {
        *self.switches.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches something for the whole server. Where nothing is public any more, open pages of those who are not signed in end, and
    /// files that are on their way.
    ///
    /// # Errors
    /// The store refused or failed; then all is as it was.
    pub(crate) async fn switch(&self, switches: Switches) -> Result<(), ServiceError> {
        let before = self.switches();
        let set = |switches| {
            *self
                .switches
                .write()
                .unwrap_or_else(PoisonError::into_inner) = switches;
        };
        // Nobody gets in between.
        set(switches);
        if let Err(error) = self.write(switches.write()).await {
            set(before);
            return Err(error);
        }
        if !switches.public_sharing {
            self.live.end_public();
        }
        if !switches.public_sharing || switches.showcase != before.showcase {
            self.underway.cut_all();
        }
        Ok(())
    }

    /// Who can open a share's link, with what is switched for the whole server.
    pub(crate) fn visibility(&self, share: &Share) -> ShareVisibility {
        match self.switches().public_sharing {
            true => share.visibility,
            false => ShareVisibility::Private,
        }
    }

    /// Refuses to make anything public where that is switched off.
    fn check_public(&self, visibility: Option<ShareVisibility>) -> Result<(), ServiceError> {
        match visibility == Some(ShareVisibility::Public) && !self.switches().public_sharing {
            true => Err(ServiceError::NothingPublic),
            false => Ok(()),
        }
    }

    /// Makes a share. A frozen one shows the chat as it is now, and is rendered before this answers.
    ///
    /// # Errors
    /// The chat is not there or not the owner's, or it could not be rendered; then there is no share.
    pub(crate) async fn create_share(
        self: &Arc<Self>,
        share: Share,
    ) -> Result<Arc<Share>, ServiceError> {
        self.check_public(Some(share.visibility))?;
        let id = share.id.clone();
        let by = Some(share.owner);
        self.write(Write::CreateShare(share)).await?;
        match self.ready(&id).await {
            Ok(share) => Ok(share),
            Err(error) => {
                let ids = vec![id];
                self.write(Write::DeleteShares { ids, by }).await?;
                Err(error)
            }
        }
    }

    /// Changes a share. One that becomes frozen shows the chat as it is now. What its link serves is as said before this answers.
    ///
    /// # Errors
    /// The share is not there or not `by`'s, or it could not be rendered.
    pub(crate) async fn change_share(
        self: &Arc<Self>,
        id: &ShareId,
        by: Option<UserId>,
        change: ShareChange,
    ) -> Result<Arc<Share>, ServiceError> {
        self.check_public(change.visibility)?;
        let write = Write::ChangeShare {
            id: id.clone(),
            by,
            change,
        };
        self.write(write).await?;
        match self.ready(id).await {
            // The change is made, and what was taken back is; who opens the page next has the bundle made.
            Err(error) if error.is_disk_full() => {
                Ok(self.share(id)?.ok_or(StoreError::NotFound)?)
            }
            ready => ready,
        }
    }

    /// The record of a share whose bundle, where it has one, is as it should be.
    async fn ready(self: &Arc<Self>, id: &ShareId) -> Result<Arc<Share>, ServiceError> {
        let share = self.share(id)?.ok_or(StoreError::NotFound)?;
        match share.updates {
            Updates::Frozen => _ = self.frozen.open(self, &share).await?,
            Updates::Live => self.followers.remember(self, &share.chat),
        }
        Ok(self.share(id)?.ok_or(StoreError::NotFound)?)
    }

    /// The record of a share, dead or alive.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn share(&self, id: &ShareId) -> Result<Option<Arc<Share>>, StoreError> {
        if let Some(share) = self.shares.known(id) {
            return Ok(Some(share));
        }
        self.shares.read(id, &self.store)
    }

    /// What a share's pages say of it.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn card(reader: &Reader<'_>, share: &Share) -> Result<ShareCard, StoreError> {
        Ok(ShareCard {
            shared_by: reader
                .user(share.owner)?
                .map_or_else(|| NOBODY.to_owned(), |user| user.name),
            shared_at: share.created_at,
            visibility: share.visibility,
            updates: share.updates,
        })
    }

    /// What of its chat a share shows.
    pub(crate) fn options(share: &Share) -> SnapshotOptions {
        SnapshotOptions {
            title: share.name.clone(),
            artifacts: share.includes_artifacts,
            reasoning: true,
            tools: true,
            messages: None,
        }
    }
}

/// True where somebody's sign-in may end by it.
fn ends_rights(write: &Write) -> bool {
    match write {
        Write::All(writes) => writes.iter().any(ends_rights),
        Write::RemoveSession { .. }
        | Write::RemoveSessionsOf { .. }
        | Write::RemoveSessionOf { .. }
        | Write::RemoveOtherSessions { .. }
        | Write::RemoveUser { .. }
        | Write::RemoveToken { .. }
        | Write::SetPassword { .. } => true,
        _ => false,
    }
}

/// The path of an address, with a slash at its end.
pub(crate) fn root_of(url: Option<&str>) -> String {
    let url = url.and_then(|url| url.parse::<Uri>().ok());
    let path = url.as_ref().map_or("", |url| url.path());
    match path.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}/"),
    }
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64);
    Timestamp::from_millis(millis)
        .or_else(|_| Timestamp::from_millis(0))
        .expect("1970 is in the calendar")
}

/// Random bytes of the operating system.
///
/// # Errors
/// The system has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Records of shares that were asked for, kept in step with the log.
#[derive(Default)]
pub(crate) struct ShareTable {
    known: RwLock<HashMap<ShareId, Arc<Share>>>,
    /// Counts changes, so that what was read before one is not entered after it.
    changes: AtomicU64,
}

impl ShareTable {
    fn known(&self, id: &ShareId) -> Option<Arc<Share>> {
        let known = self
            .known
            .read()
            .unwrap_or_else(|broken| broken.into_inner());
        known.get(id).cloned()
    }

    fn read(&self, id: &ShareId, store: &Store) -> Result<Option<Arc<Share>>, StoreError> {
        let before = self.changes.load(Ordering::SeqCst);
        let share = store.read(|reader| reader.share(id))?.map(Arc::new);
        if let Some(share) = &share {
            let mut known = self
                .known
                .write()
                .unwrap_or_else(|broken| broken.into_inner());
            if self.changes.load(Ordering::SeqCst) == before {
                if known.len() >= SHARES_KNOWN_MAX {
                    known.clear();
                }
                known.insert(id.clone(), share.clone());
            }
        }
        Ok(share)
    }

    /// Takes in what was written, in log order, before whoever wrote it is told.
    pub(crate) fn on_commit(&self, events: &[Event]) {
        let is_ours = |event: &&Event| {
            matches!(
                event.change,
                Change::ShareCreated(_)
                    | Change::ShareChanged(_)
                    | Change::ShareDeleted(_)
                    | Change::ChatDeleted
            )
        };
        for event in events.iter().filter(is_ours) {
            let mut known = self
                .known
                .write()
                .unwrap_or_else(|broken| broken.into_inner());
            self.changes.fetch_add(1, Ordering::SeqCst);
            match &event.change {
                Change::ShareDeleted(id) => drop(known.remove(id)),
                Change::ChatDeleted => known.retain(|_, share| share.chat != event.chat),
                Change::ShareCreated(share) | Change::ShareChanged(share) => {
                    known.insert(share.id.clone(), Arc::new(share.clone()));
                }
                _ => {}
            }
        }
    }
}
