//! How much of everything one address, one request and the whole server may take. Every limit has a unit and a reason.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::HeaderMap;

use crate::headers::X_FORWARDED_FOR;

/// Requests of one address in a second, over time: a page with all its files is 15, and a reader opens one in some seconds.
const REQUESTS_PER_SECOND: u32 = 100;
/// Requests of one address at once: a whole office that opens a link behind one address.
const REQUESTS_BURST: u32 = 1_000;
/// Sockets and event streams of one address: an office that watches a chat behind one address.
const STREAMS_PER_ADDRESS: usize = 200;
/// Sockets and event streams in all: 8 KB each are 400 MB.
const STREAMS: usize = 50_000;
/// Connections in all, those of sockets aside.
const CONNECTIONS: usize = 60_000;
/// Connections of one address, those of sockets aside: an office behind one address whose browsers hold six each.
const CONNECTIONS_PER_ADDRESS: usize = 1_000;
/// Open files beside those of connections, sockets and event streams: the database, what is sent, what is followed.
const FILES_SPARE: u64 = 1_000;
/// Time for a request's head, and for which a connection waits for its next request: longer is a client that holds it for nothing. Clients that keep
/// connections ready drop them after 15 seconds or later: an end at the same moment would cost them a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a request's head: addresses and cookies fit many times.
const HEAD_BYTES: usize = 16 << 10;
/// Time between two pieces of a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time in which a client has to take some of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's body where a route does not say otherwise: forms and small JSON.
const BODY_BYTES: usize = 2 << 20;
/// Time between two pings: proxies drop what is silent for 60 s.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Time in which a viewer has to answer a ping or take a frame.
const VIEWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Time after which a live share that nobody looks at is let go from memory.
const IDLE_SHARE: Duration = Duration::from_secs(120);
/// Renderings of whole chats at once: each uses all cores already.
const RENDERINGS: usize = 2;
/// Bytes of small files and their compressed forms that are kept in memory.
const FILE_CACHE_BYTES: usize = 16 << 20;
/// Bytes of files that are kept in memory at all; larger ones are streamed from disk.
const CACHED_FILE_BYTES: u64 = 256 << 10;
/// Bytes of rendered pages that one live share keeps.
const PAGE_CACHE_BYTES: usize = 4 << 20;
/// Time for open requests and sockets to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);
/// Bytes that the system holds for a viewer that does not read; it counts twice what it is told.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Headers by which proxies tell that they are one, beside `X-Forwarded-For`: whoever asks through them does not ask from this machine.
const PROXIES_SAY: [&str; 4] = ["forwarded", "via", "x-forwarded-proto", "x-real-ip"];

/// What options can change. [`Limits::default`] is for a server that people reach directly or through a proxy on the same machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests of one address in a second, over time.
    pub requests_per_second: NonZeroU32,
    /// Requests of one address at once.
    pub requests_burst: NonZeroU32,
    /// Sockets and event streams of one address.
    pub streams_per_address: usize,
    /// Sockets and event streams in all.
    pub streams: usize,
    /// Connections in all, those of sockets aside.
    pub connections: usize,
    /// Connections of one address, those of sockets aside.
    pub connections_per_address: usize,
    /// Time for a request's head.
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Time between two pieces of a request's body.
    pub body_timeout: Duration,
    /// Time in which a client has to take some of an answer.
    pub write_timeout: Duration,
    /// Bytes of a request's body where a route does not say otherwise.
    pub body_bytes: usize,
    /// Time between two pings.
    pub ping_every: Duration,
    /// Time in which a viewer has to answer a ping or take a frame.
    pub viewer_timeout: Duration,
    /// Time after which a live share that nobody looks at is let go from memory.
    pub idle_share: Duration,
    /// Renderings of whole chats at once.
    pub renderings: usize,
    /// Bytes of small files that are kept in memory.
    pub file_cache_bytes: usize,
    /// Bytes of one file up to which it is kept in memory.
    pub cached_file_bytes: u64,
    /// Bytes of rendered pages that one live share keeps.
    pub page_cache_bytes: usize,
    /// Time for open requests and sockets to end when the server stops.
    pub drain: Duration,
    /// Bytes that the system is told to hold for one connection at most.
    pub send_buffer_bytes: usize,
    /// Proxies whose `X-Forwarded-For` is believed, beside this machine itself.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        let positive = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            requests_per_second: positive(REQUESTS_PER_SECOND),
            requests_burst: positive(REQUESTS_BURST),
            streams_per_address: STREAMS_PER_ADDRESS,
            streams: STREAMS,
            connections: CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            head_timeout: HEAD_TIMEOUT,
            head_bytes: HEAD_BYTES,
            body_timeout: BODY_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            body_bytes: BODY_BYTES,
            ping_every: PING_EVERY,
            viewer_timeout: VIEWER_TIMEOUT,
            idle_share: IDLE_SHARE,
            renderings: RENDERINGS,
            file_cache_bytes: FILE_CACHE_BYTES,
            cached_file_bytes: CACHED_FILE_BYTES,
            page_cache_bytes: PAGE_CACHE_BYTES,
            drain: DRAIN,
            send_buffer_bytes: SEND_BUFFER_BYTES,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Limits {
    /// Files that may be open at once.
    pub(crate) fn open_files(&self) -> u64 {
        let connections = self.connections.saturating_add(self.streams) as u64;
        connections.saturating_add(FILES_SPARE)
    }
}

/// Who asks: the address that limits are counted for. None for programs on this machine itself.
pub(crate) type Asker = Option<IpAddr>;

/// What every address takes at the moment.
pub(crate) struct Addresses {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    streams: Arc<Open>,
    connections: Arc<Open>,
    answers: Arc<Open>,
    trusted_proxies: Vec<IpAddr>,
}

/// Connections, or sockets and event streams, that are open.
struct Open {
    of: Mutex<HashMap<IpAddr, usize>>,
    all: AtomicUsize,
    per_address_max: usize,
    all_max: usize,
}

/// The right to one connection, socket or event stream; it ends when dropped.
pub(crate) struct Permit {
    asker: Asker,
    open: Arc<Open>,
}

impl Addresses {
    pub(crate) fn new(limits: &Limits) -> Self {
        let quota =
            Quota::per_second(limits.requests_per_second).allow_burst(limits.requests_burst);
        Self {
            requests: RateLimiter::keyed(quota),
            streams: Open::new(limits.streams_per_address, limits.streams),
            connections: Open::new(limits.connections_per_address, limits.connections),
            answers: Open::new(limits.connections_per_address, limits.connections),
            trusted_proxies: limits.trusted_proxies.clone(),
        }
    }

    /// The address that a request counts for. What a proxy says is believed of this machine and of trusted proxies only.
    pub(crate) fn asker(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Asker {
        let is_trusted = |address: &IpAddr| self.is_trusted(address);
        let peer = peer?.to_canonical();
        if !is_trusted(&peer) {
            return Some(network(peer));
        }
        // The nearest proxy writes last; what stands before the last address that is no proxy of ours may be invented, and so may all before
        // what is no address.
        let forwarded = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let mut hops = forwarded
            .flat_map(|value| value.to_str().unwrap_or("?").rsplit(','))
            .map(|hop| address_of(hop.trim()));
        let hop = hops.find(|hop| hop.is_none_or(|hop| !is_trusted(&hop)));
        let is_of_proxy = || PROXIES_SAY.iter().any(|name| headers.contains_key(*name));
        match hop {
            Some(Some(hop)) => Some(network(hop)),
            // Somebody elsewhere, whom the proxy does not name.
            Some(None) => Some(network(peer)),
            None if peer.is_loopback() && !is_of_proxy() => None,
            None => Some(network(peer)),
        }
    }

    /// Counts a request; false where the address asks too often.
    pub(crate) fn may_ask(&self, asker: Asker) -> bool {
        asker.is_none_or(|address| self.requests.check_key(&address).is_ok())
    }

    /// Counts a request that is worked on, also when whoever asked has gone; `None` where there are too many: as many as there may be connections.
    pub(crate) fn begin_answer(&self, asker: Asker) -> Option<Permit> {
        self.answers.take(asker)
    }

    fn is_trusted(&self, address: &IpAddr) -> bool {
        address.is_loopback() || self.trusted_proxies.contains(address)
    }

    /// Counts a socket or event stream; `None` where there are too many.
    pub(crate) fn open_stream(&self, asker: Asker) -> Option<Permit> {
        self.streams.take(asker)
    }

    /// Counts a connection; `None` where there are too many. A proxy has as many as it likes.
    pub(crate) fn open_connection(&self, peer: IpAddr) -> Option<Permit> {
        let peer = peer.to_canonical();
        self.connections
            .take((!self.is_trusted(&peer)).then(|| network(peer)))
    }

    /// Connections that are open, those of sockets aside.
    pub(crate) fn connections(&self) -> usize {
        self.connections.all.load(Ordering::Relaxed)
    }

    /// Sockets and event streams that are open.
    pub(crate) fn streams(&self) -> usize {
        self.streams.all.load(Ordering::Relaxed)
    }

    /// Forgets addresses that have not asked for long.
    pub(crate) fn sweep(&self) {
        self.requests.retain_recent();
        self.requests.shrink_to_fit();
    }
}

impl Open {
    fn new(per_address_max: usize, all_max: usize) -> Arc<Self> {
        Arc::new(Self {
            of: Mutex::default(),
            all: AtomicUsize::new(0),
            per_address_max,
            all_max,
        })
    }

    fn take(self: &Arc<Self>, asker: Asker) -> Option<Permit> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= self.all_max {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        if let Some(address) = asker {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let count = of.entry(address).or_default();
            if *count >= self.per_address_max {
                self.all.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            *count += 1;
        }
        Some(Permit {
            asker,
            open: self.clone(),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.all.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.asker else { return };
        let mut of = self.open.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                of.remove(&address);
            }
        }
    }
}

/// The address in what a proxy says: some add the port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>();
    let address = address.or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// What one customer of a network has: an IPv4 address, or 64 bits of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(peer: &str, forwarded: &[&str]) -> Option<String> {
        let addresses = Addresses::new(&Limits {
            trusted_proxies: vec!["10.0.0.9".parse().unwrap()],
            ..Limits::default()
        });
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, value.parse().unwrap());
        }
        let asker = addresses.asker(Some(peer.parse().unwrap()), &headers);
        asker.map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_peers_say_for_whom_they_ask() {
        assert_eq!(
            asker("192.0.2.1", &["198.51.100.7"]).as_deref(),
            Some("192.0.2.1")
        );
        assert_eq!(
            asker("127.0.0.1", &["198.51.100.7"]).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(
            asker("::ffff:127.0.0.1", &["198.51.100.7"]).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(
            asker("10.0.0.9", &["1.2.3.4, 198.51.100.7", "127.0.0.1"]).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(asker("10.0.0.9", &[]).as_deref(), Some("10.0.0.9"));
        for (forwarded, counted) in [
            ("198.51.100.7:5000", "198.51.100.7"),
            ("[2001:db8:1:2:3::4]:5000", "2001:db8:1:2::"),
            ("1.2.3.4, unknown", "127.0.0.1"),
            ("1.2.3.4, _hidden, 127.0.0.1", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            assert_eq!(
                asker("127.0.0.1", &[forwarded]).as_deref(),
                Some(counted),
                "{forwarded}"
            );
        }
        assert_eq!(asker("127.0.0.1", &["127.0.0.1"]), None);
        assert_eq!(asker("127.0.0.1", &[]), None);
        assert_eq!(asker("::1", &[]), None);
        assert_eq!(
            asker("2001:db8:1:2:3:4:5:6", &[]).as_deref(),
            Some("2001:db8:1:2::")
        );
    }

    #[test]
    fn a_proxy_that_names_nobody_is_not_this_machine() {
        let addresses = Addresses::new(&Limits::default());
        for name in PROXIES_SAY {
            let mut headers = HeaderMap::new();
            headers.insert(name, "for=_hidden".parse().unwrap());
            let here = IpAddr::from([127, 0, 0, 1]);
            assert_eq!(addresses.asker(Some(here), &headers), Some(here), "{name}");
        }
    }

    #[test]
    fn an_address_has_so_many_streams_and_no_more() {
        let addresses = Addresses::new(&Limits {
            streams_per_address: 2,
            streams: 3,
            ..Limits::default()
        });
        let one = Some("192.0.2.1".parse().unwrap());
        let first = addresses.open_stream(one).unwrap();
        let second = addresses.open_stream(one).unwrap();
        assert!(addresses.open_stream(one).is_none());
        let third = addresses.open_stream(None).unwrap();
        assert!(addresses.open_stream(None).is_none());
        drop((first, second, third));
        assert_eq!(addresses.streams(), 0);
        assert!(addresses.open_stream(one).is_some());
    }
}
