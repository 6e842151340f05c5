//! Asks the DNS whether a domain takes mail, for those who validate addresses and were told to ask.
//!
//! Not a check of the mailbox: nobody is connected to and nothing is sent, so an address is never called valid. Never in the
//! way of ingest. Invariants: only the domain leaves the machine, never the part before the `@`; so many questions are open
//! at once and no more; an answer takes no longer than the time allowed, and what was not answered in it is unknown.
//! References: RFC 5321 section 5.1 (without MX records the domain's own host takes mail), RFC 7505 (null MX).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::{Resolver, TokioResolver};
use tessera_contact::{Checked, Status, Verdict};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[cfg(test)]
mod tests;

/// How the DNS is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxOptions {
    /// The name servers to ask; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long an answer may take, in milliseconds.
    pub timeout_millis: u64,
    /// Most questions at once.
    pub concurrent_max: usize,
    /// Most answers that are kept, each for as long as it says itself.
    pub cache_answers_max: u64,
}

impl Default for MxOptions {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout_millis: 3000, concurrent_max: 64, cache_answers_max: 100_000 }
    }
}

/// Why nothing can be asked.
#[derive(Debug, thiserror::Error)]
#[error("no name server can be asked: {why}")]
pub struct MxError {
    /// What the resolver says.
    pub why: String,
}

/// What the DNS says of a domain's mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailServer {
    /// There is a server for it, or the domain's own host.
    Found,
    /// The domain says that it takes no mail (RFC 7505).
    Refused,
    /// The domain is there, and neither a mail server nor a host.
    None,
    /// There is no such domain.
    NoDomain,
    /// Nobody answered in time, or the answer was an error.
    NotAnswered,
}

impl MailServer {
    /// What can be said of an address at the domain, of which `verdict` was said by looking at it. Nothing becomes valid.
    #[must_use]
    pub fn refine(self, verdict: Verdict) -> Verdict {
        if verdict.status != Status::Unknown {
            return verdict;
        }
        let Verdict { disposable, role_address, .. } = verdict;
        let said = match self {
            Self::Found => Verdict::unknown("mail_server"),
            Self::Refused => Verdict::invalid("takes_no_mail"),
            Self::None => Verdict::invalid("no_mail_server"),
            Self::NoDomain => Verdict::invalid("no_such_domain"),
            Self::NotAnswered => Verdict::unknown("not_answered"),
        };
        Verdict { disposable, role_address, ..said }
    }
}

/// Asks, and remembers the answers.
#[derive(Clone)]
pub struct MailServers {
    resolver: Arc<TokioResolver>,
    slots: Arc<Semaphore>,
    timeout: Duration,
}

impl MailServers {
    /// Makes ready to ask. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`MxError`] when the system names no server.
    pub fn new(options: &MxOptions) -> Result<Self, MxError> {
        let failed = |error: NetError| MxError { why: error.to_string() };
        let mut builder = match options.servers.is_empty() {
            true => TokioResolver::builder_tokio().map_err(failed)?,
            false => {
                let servers = options.servers.iter().map(|at| {
                    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut one| {
                        one.port = at.port();
                        one
                    });
                    NameServerConfig::new(at.ip(), true, connections.into())
                });
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let timeout = Duration::from_millis(options.timeout_millis);
        let asked = builder.options_mut();
        asked.cache_size = options.cache_answers_max;
        asked.timeout = timeout;
        asked.attempts = 1;
        let resolver = Arc::new(builder.build().map_err(failed)?);
        Ok(Self { resolver, slots: Arc::new(Semaphore::new(options.concurrent_max.max(1))), timeout })
    }

    /// What the DNS says of each of the domains of these addresses.
    pub async fn ask_all(&self, domains: impl IntoIterator<Item = String>) -> BTreeMap<String, MailServer> {
        let mut asking = JoinSet::new();
        for domain in domains {
            let servers = self.clone();
            asking.spawn(async move {
                let found = servers.ask(&domain).await;
                (domain, found)
            });
        }
        asking.join_all().await.into_iter().collect()
    }

    /// What the DNS says of a domain in ASCII.
    pub async fn ask(&self, domain: &str) -> MailServer {
        let Ok(mut name) = Name::from_ascii(domain) else { return MailServer::NotAnswered };
        // No search list of the machine is appended.
        name.set_fqdn(true);
        let Ok(_slot) = self.slots.acquire().await else { return MailServer::NotAnswered };
        tokio::time::timeout(self.timeout, self.mail_server(name)).await.unwrap_or(MailServer::NotAnswered)
    }

    async fn mail_server(&self, name: Name) -> MailServer {
        let answers = match self.resolver.mx_lookup(name.clone()).await {
            Ok(lookup) => lookup,
            Err(error) => {
                return match no_records(&error) {
                    Some(ResponseCode::NXDomain) => MailServer::NoDomain,
                    Some(ResponseCode::NoError) => self.own_host(name).await,
                    Some(_) | None => MailServer::NotAnswered,
                };
            }
        };
        let exchanges = answers
            .answers()
            .iter()
            .filter_map(|record| if let RData::MX(mx) = &record.data { Some(&mx.exchange) } else { None });
        let exchanges: Vec<&Name> = exchanges.collect();
        match exchanges.as_slice() {
            [] => self.own_host(name).await,
            [only] if only.is_root() => MailServer::Refused,
            [..] => MailServer::Found,
        }
    }

    /// Without MX records the domain's own host takes its mail, if there is one.
    async fn own_host(&self, name: Name) -> MailServer {
        let mut found = MailServer::None;
        for answer in [self.resolver.ipv4_lookup(name.clone()).await, self.resolver.ipv6_lookup(name).await] {
            match answer {
                Ok(_) => return MailServer::Found,
                Err(error) if no_records(&error).is_some() => {}
                Err(_) => found = MailServer::NotAnswered,
            }
        }
        found
    }
}

/// How a server said that there is nothing; `None`: it did not say that.
fn no_records(error: &NetError) -> Option<ResponseCode> {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error { Some(none.response_code) } else { None }
}

/// The domain of an e-mail address that may be asked for; `None`: it is not one, or names a host by its number.
#[must_use]
pub fn domain_to_ask(checked: &Checked) -> Option<String> {
    let address = checked.normalised.as_ref().filter(|_| checked.verdict.status == Status::Unknown)?;
    let (_, domain) = address.rsplit_once('@')?;
    (!domain.starts_with('[')).then(|| domain.to_owned())
}
