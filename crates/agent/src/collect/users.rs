//! Local accounts: `/etc/passwd`, `/etc/group`, `/etc/shadow`.

use riposte_wire::User;

use crate::files;

const ADMINISTRATORS: [&str; 3] = ["sudo", "wheel", "admin"];
const LARGEST: u64 = 16 << 20;

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    gid: u32,
    shell: String,
}

/// What `/etc/shadow` says of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shadow {
    /// Whether no password opens it.
    pub(crate) locked: bool,
    /// The day on which it ends, since 1970.
    pub(crate) ends: Option<i64>,
}

/// The local accounts.
pub(crate) fn passwd() -> Vec<Account> {
    read_passwd(&files::text("/etc/passwd", LARGEST))
}

fn read_passwd(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        Some(Account {
            name: (*fields.first()?).to_owned(),
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            shell: (*fields.get(6)?).to_owned(),
        })
    };
    text.lines().filter_map(account).take(100_000).collect()
}

/// What `/etc/shadow` says of an account.
pub(crate) fn shadow(name: &str) -> Option<Shadow> {
    read_shadow(&files::text("/etc/shadow", LARGEST), name)
}

fn read_shadow(text: &str, name: &str) -> Option<Shadow> {
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    let password = fields.get(1)?;
    Some(Shadow {
        locked: password.starts_with(['!', '*']),
        ends: fields.get(7).and_then(|day| day.parse().ok()),
    })
}

impl Shadow {
    /// Whether the account has ended by a day.
    pub(crate) fn has_ended(&self, today: i64) -> bool {
        self.ends.is_some_and(|ends| ends <= today)
    }
}

/// The local accounts as the server is told of them.
pub(crate) fn users(today: i64) -> Vec<User> {
    let shadow = files::text("/etc/shadow", LARGEST);
    let groups = files::text("/etc/group", LARGEST);
    passwd()
        .into_iter()
        .map(|account| {
            let shell =
                !["/nologin", "/false", "/sync"].iter().any(|no| account.shell.ends_with(no));
            let ended = read_shadow(&shadow, &account.name).is_some_and(|s| s.has_ended(today));
            User {
                can_sign_in: shell && !ended,
                administrator: is_administrator(&account, &groups),
                uid: account.uid,
                name: account.name,
            }
        })
        .take(10_000)
        .collect()
}

fn is_administrator(account: &Account, groups: &str) -> bool {
    account.uid == 0
        || groups.lines().any(|line| {
            let mut fields = line.split(':');
            let named = fields.next().is_some_and(|group| ADMINISTRATORS.contains(&group));
            let gid = fields.nth(1).and_then(|gid| gid.parse::<u32>().ok());
            let member = fields.next().is_some_and(|all| all.split(',').any(|m| m == account.name));
            named && (gid == Some(account.gid) || member)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_become_root_is_an_administrator() {
        let accounts = read_passwd(
            "root:x:0:0:root:/root:/bin/bash\nkari:x:1000:1000::/home/kari:/bin/bash\n\
             ola:x:1001:27::/home/ola:/bin/bash\nliv:x:1002:1002::/:/bin/sh\nbroken\n",
        );
        let groups = "root:x:0:\nsudo:x:27:kari\nusers:x:100:liv\n";
        let who: Vec<bool> = accounts.iter().map(|a| is_administrator(a, groups)).collect();
        assert_eq!(who, [true, true, true, false]);
    }

    #[test]
    fn shadow_says_whether_an_account_is_locked_and_ended() {
        let text = "a:$y$x:19000:0:99999:7:::\nb:!$y$x:19000:0:99999:7::1:\nc:*:1::::::\n";
        assert_eq!(read_shadow(text, "a"), Some(Shadow { locked: false, ends: None }));
        assert_eq!(read_shadow(text, "b"), Some(Shadow { locked: true, ends: Some(1) }));
        assert!(read_shadow(text, "b").unwrap().has_ended(20_000));
        assert!(read_shadow(text, "c").unwrap().locked);
        assert_eq!(read_shadow(text, "d"), None);
    }
}
