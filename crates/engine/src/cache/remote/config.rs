//! Which Redis, and how far to go for it.

use std::{fmt, path::PathBuf, time::Duration};

use redis::{Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates, io::tcp::TcpSettings};

use crate::error::{Code, Refusal};

/// Which Redis to share, and how long and how much to try.
#[derive(Clone)]
pub struct SharedConfig {
    /// `redis://[user[:password]@]host[:port][/database]`, or `rediss://…` for TLS.
    pub url: String,
    /// The user, if not in the URL.
    pub user: Option<String>,
    /// The password, if not in the URL.
    pub password: Option<String>,
    /// A file of PEM certificates that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What all keys begin with.
    pub prefix: String,
    /// Longest wait for one call.
    pub timeout: Duration,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// How long a lease holds if whoever has it dies.
    pub lease: Duration,
    /// Most bytes of a sealed answer.
    pub value_max: usize,
    /// Most bytes that wait to be stored.
    pub queue_max: usize,
}

impl SharedConfig {
    /// The usual: prefix `freehold:`, 50 ms for a call, a day for an answer, 2 s for a lease, 1 MiB for an answer, 16 MiB in
    /// the queue.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            ca_file: None,
            prefix: "freehold:".into(),
            timeout: Duration::from_millis(50),
            ttl: Duration::from_secs(86_400),
            lease: Duration::from_secs(2),
            value_max: 1 << 20,
            queue_max: 16 << 20,
        }
    }

    /// Whether it could ever work.
    ///
    /// # Errors
    /// `Usage`, with what is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        self.client().map(|_| ())
    }

    /// The URL without user and password.
    pub(super) fn place(&self) -> String {
        match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => self.url.clone(),
        }
    }

    /// What makes connections; none is made yet.
    pub(super) fn client(&self) -> Result<Client, Refusal> {
        self.plausible()?;
        let info = self.url.as_str().into_connection_info();
        let info = info.map_err(|error| {
            // What is wrong, then the kind of error.
            let text = error.to_string();
            self.refuse(text.split(" - ").next().unwrap_or_default())
        })?;
        let info = self.settled(info)?;
        let certificates = TlsCertificates { client_tls: None, root_cert: self.authorities()? };
        let client = match certificates.root_cert {
            Some(_) => Client::build_with_tls(info, certificates),
            None => Client::open(info),
        };
        client.map_err(|error| self.refuse(&format!("the certificates of ca_file: {error}")))
    }

    fn plausible(&self) -> Result<(), Refusal> {
        let url = redis::parse_redis_url(&self.url);
        let url = url.ok_or_else(|| self.refuse("it is no URL of Redis"))?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(self.refuse("it begins with neither redis:// nor rediss://"));
        }
        // Such as #insecure, with which anybody's certificate would do.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.refuse("it has something after ? or #"));
        }
        if self.ca_file.is_some() && url.scheme() != "rediss" {
            return Err(
                self.refuse("there is a ca_file, but the URL does not begin with rediss://")
            );
        }
        if self.prefix.is_empty() {
            return Err(self.refuse("the prefix is empty"));
        }
        if [self.timeout, self.ttl, self.lease].iter().any(|time| time.as_millis() == 0) {
            return Err(self.refuse("timeout, ttl and lease are at least 1 ms"));
        }
        Ok(())
    }

    fn settled(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Refusal> {
        // Who we are is not told (CLIENT SETINFO), so that the user needs no right to do so.
        let mut redis = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(user) = &self.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password);
        }
        if redis.username().is_some() && redis.password().is_none() {
            return Err(self.refuse("there is a user, but no password"));
        }
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(info.set_redis_settings(redis).set_tcp_settings(tcp))
    }

    fn authorities(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(file) = &self.ca_file else { return Ok(None) };
        let bytes = std::fs::read(file);
        let bytes =
            bytes.map_err(|error| self.refuse(&format!("{}: {}", file.display(), error.kind())))?;
        if !bytes.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") {
            return Err(self.refuse(&format!("{}: no certificate in it", file.display())));
        }
        Ok(Some(bytes))
    }

    fn refuse(&self, why: &str) -> Refusal {
        Refusal::new(Code::Usage, "the Redis for the cache cannot be used")
            .detail(format!("{}: {why}", self.place()))
            .hint("redis://[user:password@]host[:port][/database], or rediss://… for TLS")
    }
}

impl fmt::Debug for SharedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedConfig").field(&self.place()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_without_the_password() {
        for (url, why) in [
            ("127.0.0.1:6379", "no URL"),
            ("http://u:secret@h", "no URL"),
            ("unix:///tmp/x", "neither"),
            ("redis+unix:///tmp/x", "neither"),
            ("redis://", "Missing hostname"),
            ("redis://h/x", "Invalid database"),
            ("redis://u:secret@h/?protocol=resp3", "after ? or #"),
            ("rediss://u:secret@h/#insecure", "after ? or #"),
            ("redis://u@h", "no password"),
        ] {
            let refusal = SharedConfig::new(url).client().unwrap_err();
            let detail = refusal.detail.unwrap();
            assert!(detail.contains(why), "{url}: {detail}");
            assert!(!detail.contains("secret"), "{detail}");
        }
        let config = SharedConfig::new("rediss://u:secret@h:7/2");
        assert_eq!(config.place(), "rediss://h:7/2");
        assert!(!format!("{config:?}").contains("secret"));
        assert!(config.client().is_ok());
    }

    #[test]
    fn certificates_are_read_and_needed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let mut config = SharedConfig::new("rediss://h");
        config.ca_file = Some(file.clone());
        let detail = |config: &SharedConfig| config.client().unwrap_err().detail.unwrap();
        assert!(detail(&config).contains("ca.pem"), "it is not there");
        std::fs::write(&file, "").unwrap();
        assert!(detail(&config).contains("no certificate"));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(detail(&config).contains("ca_file"));
        config.url = "redis://h".into();
        assert!(detail(&config).contains("rediss://"));
    }
}
