//! Other databases and users in a connection URL.

/// The same server and user, another database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (scheme, credentials, host, parameters) = parts(url);
    format!("{scheme}{credentials}{host}/{database}{parameters}")
}

/// The same server and database, another user.
pub(crate) fn with_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, _, host, parameters) = parts(url);
    let database = url[scheme.len()..]
        .split('?')
        .next()
        .and_then(|rest| rest.split_once('/'))
        .map_or("", |(_, name)| name);
    format!("{scheme}{}:{}@{host}/{database}{parameters}", encoded(user), encoded(password))
}

/// `postgresql://`, `user:password@`, `host:port`, `?parameters`; the last three may be empty.
fn parts(url: &str) -> (&str, &str, &str, &str) {
    let begin = url.find("://").expect("a URL: postgresql://user:password@host/database") + 3;
    let (scheme, rest) = url.split_at(begin);
    let (rest, parameters) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let authority = rest.split('/').next().unwrap_or_default();
    let (credentials, host) = authority.split_at(authority.find('@').map_or(0, |at| at + 1));
    (scheme, credentials, host, parameters)
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(
            |byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_changes() {
        let local = "postgresql://postgres:pw@/postgres?host=/run/a&port=5432";
        assert_eq!(
            with_database(local, "t_1"),
            "postgresql://postgres:pw@/t_1?host=/run/a&port=5432"
        );
        assert_eq!(
            with_user(local, "app", "p@s"),
            "postgresql://app:p%40s@/postgres?host=/run/a&port=5432"
        );
        assert_eq!(with_database("postgres://h:1", "t"), "postgres://h:1/t");
        assert_eq!(with_user("postgres://h:1/d", "u", "p"), "postgres://u:p@h:1/d");
    }
}
