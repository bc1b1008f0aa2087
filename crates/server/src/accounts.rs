//! Who people are: passwords, sessions, API tokens and sign-in links.
//!
//! Passwords are hashed with argon2id, a few at once and on threads for that. Of sessions, tokens and links only the SHA-256 is kept. Unknown
//! names cost the same time and get the same answer as wrong passwords.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, header::USER_AGENT};
use readalong_model::{Digest, Timestamp, UserId, can_be_seen};
use readalong_store::{Reader, StoreError, User, UserRole, Write};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

use crate::{
    auth::Proof,
    error::ApiError,
    oidc::Person,
    service::{Service, ServiceError, random},
    signin::NewUsers,
};

/// Passwords that are hashed at once: each takes 19 MiB and a core for some 30 ms.
const HASHINGS_MAX: usize = 2;
/// Sign-ins that wait for that at most; more get 429 at once, so that they cannot pile up.
const HASHINGS_WAITING_MAX: usize = 64;
/// Sign-ins that ask a provider at once, each on a thread: one that hangs must not hold all threads of the server.
const ASKINGS_MAX: usize = 8;
/// How long a sign-in waits until it may ask.
const ASKING_WAIT: Duration = Duration::from_secs(10);
/// Wrong passwords for a name from an address before tries have to wait.
const FREE_FAILURES: u32 = 5;
/// Wrong passwords from an address, for whatever names, before tries have to wait: an office shares an address.
const FREE_FAILURES_OF_ADDRESS: u32 = 50;
/// The longest wait, which is also how long failures are remembered.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Names and addresses whose failures are remembered; 100 bytes each.
const FAILURES_KEPT_MAX: usize = 10_000;
/// Bytes of a session, token or link: 256 random bits.
const SECRET_BYTES: usize = 32;
/// What API tokens begin with, so that people and secret scanners know one when they see it.
const TOKEN_PREFIX: &str = "readalong_";
/// How long a session lasts: a month of reading without signing in again.
const SESSION_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a sign-in link works: it is printed at a start and used the same day.
const LINK_LASTS: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a password at least: shorter ones are guessed.
const PASSWORD_BYTES_MIN: usize = 8;
/// Bytes of a password at most: a passphrase is shorter, and hashing takes its time by length too.
const PASSWORD_BYTES_MAX: usize = 1_000;
/// Stands for the address of those who are signed in and enter their password again.
const SIGNED_IN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// A hash, in the form and at the cost of ours, that no password is known to have: it is compared with where nobody has the name.
const HASH_OF_NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cmVhZGFsb25nIG5vYm9keQ$EExX5fzTwTN+hNUhYsI5G+QdTY5Gl/M1Pi6L3iml6fM";
/// Characters of what a program calls itself.
const AGENT_CHARS_MAX: usize = 200;
/// Characters of a name that comes from elsewhere: with a number behind it, it is a name still.
const NAME_CHARS_OF_NEW_MAX: usize = 20;
/// People of one name.
const NAMES_TRIED_MAX: u32 = 1_000;
/// Bytes of a user's or token's name.
pub(crate) const NAME_BYTES_MAX: usize = 100;

/// A new session, token or link: shown to its holder once and then forgotten.
pub(crate) struct Secret(String);

impl Secret {
    /// One that is for this server's own pages.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn random() -> Result<Self, ApiError> {
        Self::new("")
    }

    fn new(prefix: &str) -> Result<Self, ApiError> {
        let bytes: [u8; SECRET_BYTES] = random().map_err(ApiError::internal)?;
        Ok(Self(format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))))
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// For its holder.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// The program that somebody uses, as it calls itself; for people who look through their sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent(String);

impl Agent {
    /// What a request says of its program.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        let text = text.chars().filter(|c| !c.is_control());
        Self(text.take(AGENT_CHARS_MAX).collect())
    }
}

/// What a server remembers about tries to sign in; nothing of it is on disk.
pub(crate) struct Accounts {
    hashing: Semaphore,
    waiting: Semaphore,
    asking: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            hashing: Semaphore::new(HASHINGS_MAX),
            waiting: Semaphore::new(HASHINGS_WAITING_MAX),
            asking: Arc::new(Semaphore::new(ASKINGS_MAX)),
            failures: Mutex::default(),
        }
    }
}

/// Why somebody could not sign in.
#[derive(Debug)]
pub(crate) enum SignInError {
    /// The name or the password is wrong; which of them is not told.
    Wrong,
    /// Too many tries; the next one counts after so many seconds.
    Wait {
        /// From now on.
        seconds: u64,
    },
    /// Something else.
    Failed(ApiError),
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::forbidden("the password is wrong"),
            SignInError::Wait { seconds } => Self::too_many_requests(seconds),
            SignInError::Failed(error) => error,
        }
    }
}

impl From<ApiError> for SignInError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<ServiceError> for SignInError {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error.into())
    }
}

/// Signs a user in by name and password.
///
/// # Errors
/// Wrong name or password, too many tries, or the store failed.
pub(crate) async fn sign_in(
    service: &Arc<Service>,
    name: &str,
    password: String,
    (address, agent): (IpAddr, &Agent),
) -> Result<Secret, SignInError> {
    let accounts = &service.accounts;
    let name = name.trim();
    accounts.begin(name, address)?;
    let found = match is_name(name) {
        true => {
            let name = name.to_owned();
            service.read(move |r| user_and_hash(r, &name)).await?
        }
        false => None,
    };
    let (user, hash) = found.unzip();
    let matches = accounts.verify(password, hash.flatten()).await?;
    match user.filter(|_| matches) {
        Some(user) => {
            accounts.succeeded(name, address);
            Ok(new_session(service, user.id, agent).await?)
        }
        None => Err(SignInError::Wrong),
    }
}

fn user_and_hash(
    reader: &Reader<'_>,
    name: &str,
) -> Result<Option<(User, Option<String>)>, StoreError> {
    match reader.user_by_name(name)? {
        Some(user) => {
            let hash = reader.password_hash(user.id)?;
            Ok(Some((user, hash)))
        }
        None => Ok(None),
    }
}

/// Signs in whoever holds a sign-in link's secret; the link is used up.
///
/// # Errors
/// The link is unknown, used or expired, or its user is gone.
pub(crate) async fn sign_in_by_link(
    service: &Arc<Service>,
    secret: &str,
    agent: &Agent,
) -> Result<Secret, SignInError> {
    let session = Secret::new("")?;
    let signin = Write::Signin {
        sha256: Digest::of(secret.as_bytes()),
        session: session.digest(),
        agent: agent.0.clone(),
        expires_at: after(SESSION_LASTS),
    };
    match service.write(signin).await {
        Ok(_) => Ok(session),
        Err(ServiceError::Store(StoreError::NotFound)) => Err(SignInError::Wrong),
        Err(error) => Err(error.into()),
    }
}

/// Signs in whom a provider knows. Who is not known here yet gets an account, where that is so wished.
///
/// # Errors
/// There is no account for them, or the store failed.
pub(crate) async fn sign_in_elsewhere(
    service: &Arc<Service>,
    person: Person,
    agent: &Agent,
) -> Result<Secret, SignInError> {
    let (issuer, subject) = (person.issuer.clone(), person.subject.clone());
    let known = service.read(move |r| r.identified(&issuer, &subject));
    let user = match known.await? {
        Some(user) => user.id,
        None => {
            let user = new_user(service, &person).await?;
            user.ok_or(SignInError::Wrong)?
        }
    };
    Ok(new_session(service, user, agent).await?)
}

/// Makes an account for whoever a proxy has signed in and nobody knows yet, where that is so wished.
///
/// # Errors
/// The store failed.
pub(crate) async fn know(service: &Arc<Service>, name: &str) -> Result<(), ApiError> {
    let wanted = name.to_owned();
    let known = service.read(move |r| r.user_by_name(&wanted)).await?;
    let Some(role) = role_of_new(service).filter(|_| known.is_none()) else {
        return Ok(());
    };
    let create = Write::CreateUser {
        name: name.to_owned(),
        role,
        password_hash: None,
    };
    match service.write(create).await {
        // Two requests came at once.
        Ok(_) | Err(ServiceError::Store(StoreError::Exists { .. })) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn role_of_new(service: &Service) -> Option<UserRole> {
    match service.signin.new_users {
        NewUsers::Viewer => Some(UserRole::Viewer),
        NewUsers::Owner => Some(UserRole::Owner),
        NewUsers::Refuse => None,
    }
}

/// Makes an account under a name like the one that is wanted: somebody else's name is nobody's way into their account.
async fn new_user(service: &Arc<Service>, person: &Person) -> Result<Option<UserId>, ApiError> {
    let Some(role) = role_of_new(service) else {
        return Ok(None);
    };
    let line: String = person.name.chars().filter(|c| !c.is_control()).collect();
    let mut line: String = line.trim().chars().take(NAME_CHARS_OF_NEW_MAX).collect();
    if !is_name(&line) {
        line = "viewer".to_owned();
    }
    for number in 1..=NAMES_TRIED_MAX {
        let name = match number {
            1 => line.clone(),
            number => format!("{line} ({number})"),
        };
        // Who signs in twice at once for the first time is one person.
        let sign_up = Write::SignUp {
            issuer: person.issuer.clone(),
            subject: person.subject.clone(),
            name,
            role,
        };
        match service.write(sign_up).await {
            Ok(written) => return Ok(written.user),
            Err(ServiceError::Store(StoreError::Exists { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::conflict("too many people have this name"))
}

/// Begins a session.
///
/// # Errors
/// The store failed.
pub(crate) async fn new_session(
    service: &Arc<Service>,
    user: UserId,
    agent: &Agent,
) -> Result<Secret, ApiError> {
    let secret = Secret::new("")?;
    let session = Write::CreateSession {
        user,
        sha256: secret.digest(),
        agent: agent.0.clone(),
        expires_at: after(SESSION_LASTS),
    };
    service.write(session).await?;
    Ok(secret)
}

/// A sign-in link.
pub(crate) struct SignInLink {
    /// Its path on this server.
    pub(crate) path: String,
    /// When it ends, used or not.
    pub(crate) expires_at: Timestamp,
}

/// Makes a sign-in link for a user. It works once.
///
/// # Errors
/// There is no such user, or the store failed.
pub(crate) async fn new_link(service: &Service, user: UserId) -> Result<SignInLink, ApiError> {
    let (link, write) = link_of(user)?;
    service.write(write).await?;
    Ok(link)
}

fn link_of(user: UserId) -> Result<(SignInLink, Write), ApiError> {
    let secret = Secret::new("")?;
    let expires_at = after(LINK_LASTS);
    let write = Write::CreateSignin {
        user,
        sha256: secret.digest(),
        expires_at,
    };
    let path = format!("/signin?token={}", secret.expose());
    Ok((SignInLink { path, expires_at }, write))
}

/// The path of a sign-in link for the first owner, where no user has a password yet: how one person begins on their own machine.
///
/// # Errors
/// The store failed.
pub(crate) fn owner_link(service: &Service) -> Result<Option<String>, ApiError> {
    let users = service.read_now(|r| r.users())?;
    if users.iter().any(|user| user.has_password) {
        return Ok(None);
    }
    let Some(owner) = first_owner(users) else {
        return Ok(None);
    };
    let (link, write) = link_of(owner.id)?;
    service.store.write_and_wait(write)?;
    Ok(Some(link.path))
}

/// The owner who was there first: in whose name commands on the server's machine act.
pub(crate) fn first_owner(users: Vec<User>) -> Option<User> {
    let owners = users.into_iter().filter(|user| is_owner(user.role));
    owners.min_by_key(|user| (user.role != UserRole::Admin, user.id))
}

/// True for who may do all: an admin, and whoever has the data folder.
pub(crate) fn is_admin(user: &User, proof: Proof) -> bool {
    user.role == UserRole::Admin || proof == Proof::Local
}

/// True for a role that may have chats and shares.
pub(crate) fn is_owner(role: UserRole) -> bool {
    match role {
        UserRole::Owner | UserRole::Admin => true,
        UserRole::Viewer => false,
    }
}

/// Makes an API token for a user; the answer is all that is ever seen of it.
///
/// # Errors
/// The store failed.
pub(crate) fn new_token() -> Result<Secret, ApiError> {
    Secret::new(TOKEN_PREFIX)
}

/// Hashes a password that somebody chose.
///
/// # Errors
/// It is too short or too long, or too many wait for the same.
pub(crate) async fn hash_password(service: &Service, password: String) -> Result<String, ApiError> {
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        return Err(ApiError::bad_request(format!(
            "a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes"
        )));
    }
    let hash = move || hash(&password);
    service.accounts.on_hashing_thread(hash).await?
}

/// True where the password is the user's. Whoever is signed in already has to wait after failures like everybody.
///
/// # Errors
/// Too many tries, or too many wait for the same.
pub(crate) async fn is_password(
    service: &Service,
    user: &User,
    password: String,
) -> Result<bool, ApiError> {
    let accounts = &service.accounts;
    accounts.begin(&user.name, SIGNED_IN)?;
    let id = user.id;
    let hash = service.read(move |r| r.password_hash(id)).await?;
    let matches = accounts.verify(password, hash).await?;
    if matches {
        accounts.succeeded(&user.name, SIGNED_IN);
    }
    Ok(matches)
}

/// True for what can be a user's or token's name: short, one line with something to see, no spaces around it.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && can_be_seen(name)
}

impl Accounts {
    /// The right to ask a provider; `None` where it lets too many wait. It goes with the work: whoever asked may hang up.
    pub(crate) async fn turn_to_ask(&self) -> Option<OwnedSemaphorePermit> {
        let turn = timeout(ASKING_WAIT, self.asking.clone().acquire_owned());
        turn.await.ok()?.ok()
    }

    /// Verifies a password; without a hash it takes as long and is wrong.
    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| HASH_OF_NOBODY.to_owned());
        let matches = move || {
            let hash = PasswordHash::new(&hash);
            let verify = |hash| Argon2::default().verify_password(password.as_bytes(), hash);
            hash.as_ref().is_ok_and(|hash| verify(hash).is_ok())
        };
        Ok(self.on_hashing_thread(matches).await? && is_known)
    }

    async fn on_hashing_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _waiting = self.waiting.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => ApiError::too_many_requests(1),
            TryAcquireError::Closed => ApiError::internal("hashing has ended"),
        })?;
        let _turn = self.hashing.acquire().await.map_err(ApiError::internal)?;
        let work = tokio::task::spawn_blocking(work);
        work.await.map_err(ApiError::internal)
    }

    /// Counts a try as failed until it has succeeded, so that many at once gain nothing.
    fn begin(&self, name: &str, address: IpAddr) -> Result<(), SignInError> {
        let mut failures = lock(&self.failures);
        failures
            .try_now(&keys(name, address), Instant::now())
            .map_err(|wait| SignInError::Wait {
                seconds: wait.as_secs() + 1,
            })
    }

    fn succeeded(&self, name: &str, address: IpAddr) {
        let [(of_name, _), (of_address, _)] = keys(name, address);
        let mut failures = lock(&self.failures);
        failures.of.remove(&of_name);
        if let Some(failed) = failures.of.get_mut(&of_address) {
            failed.count = failed.count.saturating_sub(1);
        }
    }
}

/// What failures are counted under: the name at the address, and the address.
fn keys(name: &str, address: IpAddr) -> [(Digest, u32); 2] {
    let address = network(address);
    let of_name = Digest::of(format!("{address} {}", name.to_lowercase()).as_bytes());
    let of_address = Digest::of(address.to_string().as_bytes());
    [
        (of_name, FREE_FAILURES),
        (of_address, FREE_FAILURES_OF_ADDRESS),
    ]
}

/// The address, or the network that one customer has of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
        address => address,
    }
}

#[derive(Default)]
struct Failures {
    of: HashMap<Digest, Failed>,
}

struct Failed {
    count: u32,
    last: Instant,
}

impl Failures {
    /// Counts a try under all keys, or tells how long to wait for the next.
    fn try_now(&mut self, keys: &[(Digest, u32)], now: Instant) -> Result<(), Duration> {
        if self.of.len() >= FAILURES_KEPT_MAX {
            self.forget(now);
        }
        for (key, free) in keys {
            if let Some(failed) = self.of.get(key) {
                let ends = failed.last + wait_after(failed.count, *free);
                if ends > now {
                    return Err(ends - now);
                }
            }
        }
        for (key, _) in keys {
            let failed = self.of.entry(*key).or_insert(Failed {
                count: 0,
                last: now,
            });
            if now - failed.last > WAIT_MAX {
                failed.count = 0;
            }
            failed.count = failed.count.saturating_add(1);
            failed.last = now;
        }
        Ok(())
    }

    /// Forgets what is old, and the older half where all is new.
    fn forget(&mut self, now: Instant) {
        self.of.retain(|_, failed| now - failed.last <= WAIT_MAX);
        if self.of.len() >= FAILURES_KEPT_MAX {
            let mut times: Vec<Instant> = self.of.values().map(|failed| failed.last).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.of.retain(|_, failed| failed.last > middle);
        }
    }
}

/// How long to wait after so many failures: nothing for the free ones, then 1 s, twice as long each time.
fn wait_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(more) => WAIT_MAX.min(Duration::from_secs(1 << more.min(20))),
    }
}

fn hash(password: &str) -> Result<String, ApiError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(ApiError::internal)?.to_string())
}

fn after(duration: Duration) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::after_epoch(since.unwrap_or_default() + duration)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn tries_wait_longer_after_each_failure() {
        let mut failures = Failures::default();
        let begin = Instant::now();
        let keys = keys("ada", HOME);
        for _ in 0..FREE_FAILURES {
            assert!(failures.try_now(&keys, begin).is_ok());
        }
        assert_eq!(failures.try_now(&keys, begin), Err(Duration::from_secs(1)));
        let later = begin + Duration::from_secs(1);
        assert!(failures.try_now(&keys, later).is_ok());
        assert_eq!(failures.try_now(&keys, later), Err(Duration::from_secs(2)));
        assert!(failures.try_now(&keys, later + WAIT_MAX * 2).is_ok());
    }

    #[test]
    fn a_name_at_one_address_does_not_lock_it_at_another() {
        let accounts = Accounts::default();
        for _ in 0..FREE_FAILURES {
            assert!(accounts.begin("ada", HOME).is_ok());
        }
        assert!(accounts.begin("Ada", HOME).is_err());
        assert!(accounts.begin("bob", HOME).is_ok());
        assert!(accounts.begin("ada", "192.0.2.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_address_has_a_bound_for_all_names() {
        let accounts = Accounts::default();
        for number in 0..FREE_FAILURES_OF_ADDRESS {
            assert!(accounts.begin(&format!("name {number}"), HOME).is_ok());
        }
        assert!(accounts.begin("one more", HOME).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut failures = Failures::default();
        let begin = Instant::now();
        for number in 0..3 * FAILURES_KEPT_MAX as u64 {
            let key = Digest::of(&number.to_be_bytes());
            let now = begin + Duration::from_millis(number);
            assert!(failures.try_now(&[(key, 5)], now).is_ok());
            assert!(failures.of.len() <= FAILURES_KEPT_MAX);
        }
    }

    #[test]
    fn one_customer_is_one_address() {
        let network = |text: &str| super::network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn nobody_costs_as_much_as_anybody() {
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            let length = hash.hash.as_ref().unwrap().len();
            (hash.algorithm.to_string(), hash.params.to_string(), length)
        };
        assert_eq!(cost(HASH_OF_NOBODY), cost(&hash("password").unwrap()));
    }

    #[test]
    fn names_are_short_lines() {
        for name in ["ada", "Ada Lovelace", "李"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " ada", "a\nb", "a\u{0}", "\u{200b}", &"a".repeat(101)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
