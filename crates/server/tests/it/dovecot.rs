//! A real IMAP server, Debian's Dovecot, with one mailbox behind TLS.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The user that owns mails where the tests run as root, whose mails Dovecot does not read.
const NOBODY: u32 = 65_534;

pub struct Dovecot {
    child: Option<Child>,
    dir: tempfile::TempDir,
    port: u16,
}

impl Dovecot {
    /// Starts it; `None`, said in a line, where it is not installed.
    #[expect(clippy::print_stdout, reason = "who reads the run sees that this was not shown")]
    pub async fn start() -> Option<Self> {
        let program = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"];
        if !program.iter().any(|path| Path::new(path).exists()) {
            assert!(
                std::env::var("RIPOSTE_REQUIRE_DOVECOT").as_deref() != Ok("1"),
                "Dovecot is missing: scripts/need mail"
            );
            println!("skipped: Dovecot is missing (scripts/need mail)");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut it = Self { child: None, dir, port };
        it.write();
        it.run().await;
        Some(it)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where it is, as the setting names it.
    pub fn url(&self) -> String {
        format!("imaps://replies%40mdr.example@127.0.0.1:{}/INBOX", self.port)
    }

    fn write(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(self.path(name), text).expect("a file");
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("password", "secret-of-the-mailbox\n");
        for name in ["run", "state", "mail", "mail/new", "mail/cur", "mail/tmp"] {
            std::fs::create_dir_all(self.path(name)).expect("a folder");
        }
        let owner = std::fs::metadata(self.dir.path()).expect("a folder");
        let (uid, gid) = match owner.uid() {
            0 => (NOBODY, NOBODY),
            uid => (uid, owner.gid()),
        };
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.dir.path(), open).expect("open");
        for name in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
            let _ = std::os::unix::fs::chown(self.path(name), Some(uid), Some(gid));
        }
        let me = if owner.uid() == 0 {
            String::new()
        } else {
            let user = std::env::var("USER").unwrap_or_default();
            format!("default_internal_user = {user}\ndefault_login_user = {user}\n")
        };
        let (dir, port) = (self.dir.path().display(), self.port);
        write(
            "dovecot.conf",
            &format!(
                "protocols = imap\nlisten = 127.0.0.1\nbase_dir = {dir}/run\n\
                 state_dir = {dir}/state\nlog_path = {dir}/log\nssl = required\n\
                 ssl_cert = <{dir}/cert.pem\nssl_key = <{dir}/key.pem\n\
                 mail_location = maildir:{dir}/mail\n{me}\
                 passdb {{\n  driver = static\n  args = password=secret-of-the-mailbox\n}}\n\
                 userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={dir}/mail \
                 allow_all_users=yes\n}}\n\
                 service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = 0\n  }}\n  \
                 inet_listener imaps {{\n    port = {port}\n    ssl = yes\n  }}\n}}\n\
                 service anvil {{\n  chroot =\n}}\nservice stats {{\n  chroot =\n}}\n"
            ),
        );
    }

    async fn run(&mut self) {
        let child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("Dovecot starts"));
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Dovecot does not listen: {}", self.log());
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Puts a mail into the mailbox, as its mail server would.
    pub fn deliver(&self, mail: &str) {
        let name = uuid::Uuid::new_v4().to_string();
        let (draft, new) = (self.path("mail/tmp").join(&name), self.path("mail/new").join(&name));
        std::fs::write(&draft, mail).expect("a file");
        let owner = std::fs::metadata(self.path("mail")).expect("a folder");
        let _ = std::os::unix::fs::chown(&draft, Some(owner.uid()), Some(owner.gid()));
        std::fs::rename(&draft, &new).expect("delivered");
    }

    /// Mails that are marked as read, and all.
    pub fn read(&self) -> (usize, usize) {
        let names = |part: &str| -> Vec<String> {
            std::fs::read_dir(self.path(part))
                .expect("a folder")
                .filter_map(|it| it.ok()?.file_name().into_string().ok())
                .collect()
        };
        let (cur, new) = (names("mail/cur"), names("mail/new"));
        let flagged =
            |name: &&String| name.rsplit_once(":2,").is_some_and(|(_, it)| it.contains('S'));
        (cur.iter().filter(flagged).count(), cur.len() + new.len())
    }

    /// Stops it, in the middle of whatever it does, and starts it again.
    pub async fn restart(&mut self) {
        self.stop();
        self.run().await;
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its processes end with their master, which has to be asked for that.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
    }
}
