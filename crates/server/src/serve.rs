//! The server as a whole: it opens a data folder, listens, answers, and ends in order.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    pin::Pin,
    process,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use data_encoding::HEXLOWER;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use readalong_live::redacting::{HELD_MS, Redactions};
use readalong_model::{Change, ChatId, Digest, Event, ShareId};
use readalong_redact::Redactor;
use readalong_render::{RenderError, Renderer};
use readalong_store::{Store, StoreError};
use readalong_themes::{Theme, ThemeError};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::spawn_blocking,
    time::{Sleep, timeout},
};
use tower::Service as _;

use crate::{
    answers,
    frozen::FrozenShares,
    limits::{Limits, Permit},
    live_share::LiveShares,
    metrics::Metrics,
    redaction,
    routes::{self, Peer, errors::Notices},
    service::{Service, ServiceParts, ShareTable, random, root_of},
    signin::SignInOptions,
    switches::Switches,
    underway::Underway,
};

/// Name of the file that says where a server of this data folder is reached.
const ADDRESS_FILE: &str = "server.json";
/// Folders of what shares show and of their ids: nobody else on the machine reads them, whoever may read the data folder itself.
const PRIVATE_FOLDERS: [&str; 3] = ["bundles", "compressed", "cache"];
/// Name of the file that a server holds locked.
const LOCK_FILE: &str = "lock";
/// How long a look at that lock takes at most.
const LOOK: Duration = Duration::from_millis(20);
/// Connections that wait to be taken.
const BACKLOG: i32 = 4096;
/// Time between two looks at what has become idle or has expired: an expired link is dead within it.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// Times of housekeeping between two sweeps of what addresses have asked.
const SWEEP_EVERY: u32 = 120;
/// Time between two looks at whether all has ended.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// Pause after the system had no more files for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server is opened with.
#[derive(Clone)]
pub struct ServerOptions {
    /// The data folder; it is made if it is not there.
    pub data: PathBuf,
    /// The address under which people reach the server, where a proxy stands before it: links begin with it.
    pub base_url: Option<String>,
    /// Name or folder of the theme.
    pub theme: String,
    /// Whether code has colours.
    pub highlight: bool,
    /// Files and folders of transcripts that are followed.
    pub follow: Vec<PathBuf>,
    /// How much anybody may take.
    pub limits: Limits,
    /// How people sign in elsewhere.
    pub signin: SignInOptions,
    /// What is taken out of chats besides what the built-in rules find, and what stays.
    pub redact: readalong_redact::Options,
    /// Told of each share and chat that readers see something new of, after it is durable.
    pub on_change: Option<OnChange>,
}

/// Is told of changes, from the thread that writes them: it must not wait for anything.
pub type OnChange = Arc<dyn Fn(Touched) + Send + Sync>;

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// A share was made, changed or deleted.
    Share(ShareId),
    /// The owner changed or deleted a chat, and so what all its shares show.
    Chat(ChatId),
}

impl ServerOptions {
    /// The options of a server that has this data folder, with everything else as usual.
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            base_url: None,
            theme: readalong_themes::DEFAULT.to_owned(),
            highlight: true,
            follow: Vec::new(),
            limits: Limits::default(),
            signin: SignInOptions::default(),
            redact: readalong_redact::Options::default(),
            on_change: None,
        }
    }
}

/// Tells of changes that concern frozen shares too; what comes to a chat later is not in them.
fn tell_of(events: &[Event], on_change: &OnChange) {
    for event in events {
        match &event.change {
            Change::ShareCreated(share) | Change::ShareChanged(share) => {
                on_change(Touched::Share(share.id.clone()))
            }
            Change::ShareDeleted(id) => on_change(Touched::Share(id.clone())),
            change if change.is_owners_edit() || *change == Change::ChatDeleted => {
                on_change(Touched::Chat(event.chat.clone()));
            }
            _ => {}
        }
    }
}

/// What can go wrong in opening a data folder or serving it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another program has the folder.
    #[error("another readalong has the data folder `{}`{}", folder.display(), running(*pid, url.as_deref()))]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// The other program, where it says.
        pid: Option<u32>,
        /// Where it is reached, where it says.
        url: Option<String>,
    },
    /// A file of the folder cannot be used.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A provider is set up that cannot be used.
    #[error("this readalong was built without OpenID Connect")]
    OidcLeftOut,
    /// Rules for secrets cannot be used.
    #[error(transparent)]
    Redact(#[from] readalong_redact::RedactError),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A request in this process came to nothing.
    #[error("asking the server within this process failed: {reason}")]
    Call {
        /// Why.
        reason: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The theme is wrong.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The theme's templates are wrong.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Something cannot be followed.
    #[error(transparent)]
    Follow(#[from] readalong_live::FollowError),
}

fn running(pid: Option<u32>, url: Option<&str>) -> String {
    match (pid, url) {
        (Some(pid), Some(url)) => format!(": process {pid}, at {url}"),
        (Some(pid), None) => format!(": process {pid}"),
        _ => String::new(),
    }
}

/// What stands in `server.json` while a server runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningServer {
    /// The address that it listens at.
    pub addr: SocketAddr,
    /// Where it is reached on this machine.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// The token that commands on this machine act with.
    pub token: String,
}

impl RunningServer {
    /// The server of a data folder; `None` where none says that it runs. It may have died without a word: whoever gets no answer under
    /// `url` tries [`Server::open`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(data: &Path) -> Result<Option<Self>, ServeError> {
        let path = data.join(ADDRESS_FILE);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error("reading", &path)(source)),
        }
    }

    /// True where a program has the data folder open: what says that a server runs stays there when it is killed.
    pub fn is_any(data: &Path) -> bool {
        matches!(lock(data), Err(ServeError::Busy { .. }))
    }
}

/// A data folder that is open, and everything that answers for it.
pub struct Server {
    service: Arc<Service>,
    follow: Vec<PathBuf>,
    command_token: String,
    /// Locked as long as the server is there.
    _lock: File,
}

impl Server {
    /// Opens a data folder.
    ///
    /// # Errors
    /// Another program has it, or something in it cannot be used.
    pub fn open(options: ServerOptions) -> Result<Self, ServeError> {
        let data = options.data;
        make_private_folder(&data)?;
        let lock = lock(&data)?;
        for name in PRIVATE_FOLDERS {
            close_folder(&data.join(name))?;
        }
        let theme = Theme::load(&options.theme)?;
        let renderer = Arc::new(Renderer::new(&theme, options.highlight)?);
        let metrics = Arc::new(Metrics::default());
        let shares = Arc::new(ShareTable::default());
        let live = Arc::new(LiveShares::new(&options.limits, metrics.clone()));
        let frozen = Arc::new(FrozenShares::new(&data, &options.limits, metrics.clone()));
        let on_change = options.on_change;
        let underway = Arc::new(Underway::default());
        let on_commit = {
            let (shares, live, frozen, underway, metrics) = (
                shares.clone(),
                live.clone(),
                frozen.clone(),
                underway.clone(),
                metrics.clone(),
            );
            move |events: &[Event]| {
                metrics.events.add(events.len() as u64);
                // In this order: whoever is told of a change finds the new record, and what begins after the last finds all.
                frozen.on_commit(events);
                shares.on_commit(events);
                live.on_commit(events);
                underway.on_commit(events);
                if let Some(on_change) = &on_change {
                    tell_of(events, on_change);
                }
            }
        };
        let store = Store::open(&data, on_commit)?;
        clear(&data, &store, &frozen)?;
        if options.signin.oidc.is_some() && !cfg!(feature = "oidc") {
            return Err(ServeError::OidcLeftOut);
        }
        let switches = Switches::of(&store)?;
        let own_url = Self::own_url(&store, options.base_url)?;
        let notices = Notices::new(&renderer, &root_of(own_url.as_deref()))?;
        let redactor = Redactor::new(options.redact)?;
        let redactions = {
            let store = store.clone();
            Redactions::new(redactor, move |chat| redaction::kept(&store, chat))
        };
        let token: [u8; 32] = random().map_err(|_| ServeError::Random)?;
        let command_token = HEXLOWER.encode(&token);
        let service = Service::new(ServiceParts {
            store,
            data,
            redactions: Arc::new(redactions),
            renderer,
            shares,
            live,
            frozen,
            underway,
            limits: options.limits,
            notices,
            metrics,
            command_token: Digest::of(command_token.as_bytes()),
            own_url,
            signin: options.signin,
            switches,
        });
        let server = Self {
            service,
            follow: options.follow,
            command_token,
            _lock: lock,
        };
        server.begin()?;
        Ok(server)
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Everything that the server answers, for programs that ask without a socket.
    pub fn router(&self) -> Router {
        routes::router(self.service.clone())
    }

    /// The token that commands of whoever owns the data folder act with. It is new at every start.
    pub fn command_token(&self) -> &str {
        &self.command_token
    }

    /// The address that links begin with, once it is known.
    pub fn base_url(&self) -> Option<&str> {
        self.service.base_url()
    }

    /// Listens at an address; port 0 is any that is free.
    ///
    /// # Errors
    /// The address is taken or not of this machine.
    pub fn listen(&self, addr: SocketAddr) -> Result<TcpListener, ServeError> {
        let listener = listen(addr, self.service.limits.send_buffer_bytes)
            .map_err(|source| ServeError::Listen { addr, source })?;
        // A port that happened to be free is another one the next time.
        if addr.port() != 0 {
            self.remember_url(&url_of(addr))?;
        }
        Ok(listener)
    }

    /// Answers until `shutdown` ends, then lets open requests end and sends viewers away, in a bounded time.
    ///
    /// # Errors
    /// `server.json` cannot be written, or something cannot be followed.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        ready: impl FnOnce(),
    ) -> Result<(), ServeError> {
        let service = &self.service;
        let is_at_home = listener.local_addr().is_ok_and(|at| at.ip().is_loopback());
        let is_for_others = service.base_url().is_some() || !is_at_home;
        raise_file_limit(service.limits.open_files(), is_for_others);
        let _address = self.announce(&listener)?;
        for path in &self.follow {
            service.followers.follow(service, path, Vec::new())?;
        }
        service.followers.resume(service);
        let housekeeper = tokio::spawn(keep_house(service.clone()));
        service.set_serving();
        let router = self.router();
        ready();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Beyond the limit a connection is closed at once: waiting would keep those out who can be served.
                    let Some(permit) = service.addresses.open_connection(peer.ip()) else {
                        continue;
                    };
                    let router = router.clone();
                    tokio::spawn(connection(service.clone(), router, stream, peer, permit));
                }
                // The other side went away, or the system is out of files; both pass.
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        service.followers.stop().await;
        self.drain().await;
        housekeeper.abort();
        Ok(())
    }

    /// Sends viewers away, with all that was answered as written, and waits for open requests, as long as the limit says.
    async fn drain(&self) {
        let service = &self.service;
        let deadline = Instant::now() + service.limits.drain;
        service.stopping.send_replace(true);
        // What was held back is whole from here on.
        service.release(Instant::now() + Duration::from_millis(HELD_MS));
        let behind = service.clone();
        let caught_up = spawn_blocking(move || behind.live.catch_up(&behind));
        // Whoever is sent away without it gets it from the next server.
        let _ = timeout(service.limits.drain / 2, caught_up).await;
        service.live.close_all();
        let is_open = || service.addresses.streams() > 0 || service.addresses.connections() > 0;
        while is_open() && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_STEP).await;
            // Who came in at the last moment is sent away too.
            service.live.close_all();
        }
        if is_open() {
            tracing::warn!("some connections were cut: they did not end in time");
        }
    }

    /// Says in `server.json` where the server is reached, as long as the answer is kept.
    fn announce(&self, listener: &TcpListener) -> Result<Announced, ServeError> {
        let path = self.service.data.join(ADDRESS_FILE);
        let addr = listener
            .local_addr()
            .map_err(io_error("reading the address for", &path))?;
        let url = url_of(addr);
        self.service.set_base_url(&url);
        let running = RunningServer {
            addr,
            url,
            pid: process::id(),
            token: self.command_token.clone(),
        };
        let text = serde_json::to_vec(&running).map_err(io::Error::other);
        // What a server left that was killed names nobody, and its space may be the last of the disk.
        let _ = fs::remove_file(&path);
        let written = text.and_then(|text| write_private(&path, &text));
        written.map_err(io_error("writing", &path))?;
        Ok(Announced(path))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("data", &self.service.data)
            .finish_non_exhaustive()
    }
}

/// Takes `server.json` away when the server has ended.
struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // Where it cannot be removed it names a dead process, which is found out.
        let _ = fs::remove_file(&self.0);
    }
}

/// What links begin with on this machine: an address that means all is reached at loopback.
fn url_of(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

/// What is done from time to time.
async fn keep_house(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    for time in 1_u32.. {
        ticks.tick().await;
        // A fault in one look is not to end them all.
        let sweep = AssertUnwindSafe(|| {
            service.underway.sweep(&service);
            service.live.sweep(&service);
        });
        if catch_unwind(sweep).is_err() {
            service.metrics.panics.add(1);
        }
        // Rendering takes its time; nothing else waits for it.
        let catching = service.clone();
        tokio::spawn(async move { catching.frozen.catch_up(&catching).await });
        if time.is_multiple_of(SWEEP_EVERY) {
            service.addresses.sweep();
        }
    }
}

/// Answers one connection until it ends.
async fn connection(
    service: Arc<Service>,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    permit: Permit,
) {
    let mut stopping = service.stopping.subscribe();
    let io = TokioIo::new(PatientStream {
        stream,
        patience: service.limits.write_timeout,
        stalled: None,
    });
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(service.limits.head_timeout)
        .max_buf_size(service.limits.head_bytes.max(8 << 10))
        .serve_connection(io, answer)
        .with_upgrades();
    drop(service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = is_true(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection broke: {error}");
    }
    drop(permit);
}

/// Waits until it is told; for ever where nobody can tell any more.
async fn is_true(told: &mut watch::Receiver<bool>) {
    if told.wait_for(|told| *told).await.is_err() {
        std::future::pending().await
    }
}

/// A stream whose other side has to take something within a time.
pub(crate) struct PatientStream {
    stream: TcpStream,
    patience: Duration,
    /// Runs while nothing can be written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl PatientStream {
    /// The stream itself, for those who have a patience of their own.
    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn or_timeout<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_timeout(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.or_timeout(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn listen(addr: SocketAddr, send_buffer_bytes: usize) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    // Connections inherit these: a frame goes out at once, and a viewer that does not read holds little.
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Asks for so many open files. Whoever serves others is told where they may be too few; one person never needs them.
fn raise_file_limit(wanted: u64, is_for_others: bool) {
    match rlimit::increase_nofile_limit(wanted) {
        _ if !is_for_others => {}
        Ok(allowed) if allowed < wanted => tracing::warn!(
            "the system allows {allowed} open files, and {wanted} may be needed at once: raise its limit (`ulimit -Hn`, `LimitNOFILE=`), or lower `limits.connections` and `limits.streams`"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            "the limit of open files cannot be raised to {wanted}, so many may be needed at once: {error}"
        ),
    }
}

/// Removes what crashes have left: bundles of no share, folders of pages, halves of uploads.
fn clear(data: &Path, store: &Store, frozen: &FrozenShares) -> Result<(), ServeError> {
    let used = store.read(|reader| reader.bundles())?;
    frozen.keep_only(&used.into_iter().collect());
    frozen.forget_stale(store)?;
    // They are made again when they are needed; what was being sent is sent again.
    for folder in ["live", "uploads", answers::FOLDER] {
        let _ = fs::remove_dir_all(data.join("cache").join(folder));
    }
    Ok(())
}

fn make_private_folder(folder: &Path) -> Result<(), ServeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(io_error("making folder", folder))
}

/// A folder that only its owner can read, also where it was there before.
fn close_folder(folder: &Path) -> Result<(), ServeError> {
    make_private_folder(folder)?;
    #[cfg(unix)]
    {
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder, only_owner).map_err(io_error("closing folder", folder))?;
    }
    Ok(())
}

/// Takes the lock of a data folder, or says who has it.
fn lock(data: &Path) -> Result<File, ServeError> {
    let path = data.join(LOCK_FILE);
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(io_error("opening", &path))?;
    let tried = file.try_lock().or_else(|_| {
        // Another command may only have looked whether somebody has it.
        std::thread::sleep(LOOK);
        file.try_lock()
    });
    match tried {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let running = RunningServer::of(data).ok().flatten();
            Err(ServeError::Busy {
                folder: data.to_owned(),
                pid: running.as_ref().map(|running| running.pid),
                url: running.map(|running| running.url),
            })
        }
        Err(TryLockError::Error(source)) => Err(io_error("locking", &path)(source)),
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file is closed to other users from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServeError {
    let path = path.to_owned();
    move |source| ServeError::Io {
        doing,
        path,
        source,
    }
}
