//! Passwords: what one must be, and how it is kept and checked.
//!
//! At least 15 characters, no rule about which; not one that everybody tries, and not made of the
//! person's own name and organisation. Kept as argon2id. Checking takes tens of milliseconds and
//! 19 MiB, so only a few are checked at a time.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::id::Random;

/// The fewest characters.
pub const LEAST: usize = 15;
/// The most characters: what nobody types, and still cheap to hash.
pub const MOST: usize = 256;
/// Checked at the same time.
const AT_ONCE: usize = 2;

/// Beginnings and pieces of what is long and yet tried first: keyboard walks, counting, phrases
/// that lists of broken passwords are full of. Compared without case, spaces and signs.
const TRIED_FIRST: &[&str] = &[
    "password",
    "passwort",
    "passw0rd",
    "motdepasse",
    "contrasena",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t",
    "qazwsxedc",
    "iloveyou",
    "letmein",
    "administrator",
    "welcome",
    "changeme",
    "default",
    "sunshine",
    "princess",
    "football",
    "correcthorsebatterystaple",
    "trustno1",
    "abcdefghijklm",
    "riposte",
];

fn argon() -> Result<Argon2<'static>> {
    // OWASP's choice for argon2id: 19 MiB, two passes, one lane.
    let params = Params::new(19_456, 2, 1, None)
        .map_err(|error| Error::Internal(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn turn() -> Arc<Semaphore> {
    static TURN: OnceLock<Arc<Semaphore>> = OnceLock::new();
    TURN.get_or_init(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
}

/// Refuses a password that would be guessed. `own` are words of the person and the organisation.
///
/// # Errors
/// `Invalid` with a reason the person can act on.
pub fn check(password: &str, own: &[&str]) -> Result<()> {
    let no = |reason: &str| Err(Error::Invalid(reason.to_owned()));
    let length = password.chars().count();
    if length < LEAST {
        return no(
            "a password has at least 15 characters; a few words in a row are easy to remember",
        );
    }
    if length > MOST {
        return no("a password has at most 256 characters");
    }
    let plain: String =
        password.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let mut rest = plain.clone();
    let parts = own.iter().flat_map(|own| own.split(|c: char| !c.is_alphanumeric()));
    let parts = parts.map(str::to_lowercase).filter(|part| part.chars().count() >= 4);
    for word in parts.chain(TRIED_FIRST.iter().map(|word| (*word).to_owned())) {
        rest = rest.replace(&word, "");
    }
    // What is left must still be something, and not the same or the next sign over and over.
    let steps: std::collections::HashSet<i64> = rest
        .chars()
        .zip(rest.chars().skip(1))
        .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
        .collect();
    let signs: std::collections::HashSet<char> = rest.chars().collect();
    if rest.chars().count() < 6 || steps.len() < 4 || signs.len() < 4 {
        return no("this password is one of those that are tried first; choose another");
    }
    Ok(())
}

/// The hash to keep.
pub async fn hash(random: &Random, password: &str) -> Result<String> {
    let salt = random.bytes::<16>()?;
    let password = password.to_owned();
    work(move || made(&argon()?, password.as_bytes(), &salt)).await
}

/// Whether this is the password. With no hash to compare with, as much work is done and the answer
/// is no, so that time does not tell who exists.
pub async fn is_right(hash: Option<String>, password: &str) -> Result<bool> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let password = password.to_owned();
    work(move || {
        let argon = argon()?;
        let compared = if let Some(hash) = &hash {
            hash
        } else {
            if NOBODY.get().is_none() {
                let hash = made(&argon, b"nobody has this password", b"0123456789abcdef")?;
                let _ = NOBODY.set(hash);
            }
            NOBODY.get().map_or("", String::as_str)
        };
        let right = PasswordHash::new(compared)
            .is_ok_and(|kept| argon.verify_password(password.as_bytes(), &kept).is_ok());
        Ok(right && hash.is_some())
    })
    .await
}

fn made(argon: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String> {
    let failed = |error| Error::Internal(format!("argon2: {error}"));
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    Ok(argon.hash_password(password, &salt).map_err(failed)?.to_string())
}

async fn work<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _turn = turn().acquire_owned().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_and_kinds_of_signs_do_not() {
        let own = ["signe.holm@fjordwatch.example", "Fjordwatch Security"];
        for good in [
            "wet gravel under the lantern",
            "kvällsljus över fjärden",
            "hxmdowkqpeuvbta",
            "9471 0386 2259 7",
        ] {
            assert!(check(good, &own).is_ok(), "{good}");
        }
        for bad in [
            "short enough",
            "PasswordPassword1!",
            "fjordwatchfjordwatch",
            "Signe.Holm@Fjordwatch.example",
            "aaaaaaaaaaaaaaaaaaaa",
            "123456789012345678",
            "qwertyuiopasdfghjkl",
            "abababababababababab",
        ] {
            assert!(check(bad, &own).is_err(), "{bad}");
        }
        assert!(check(&"ab c".repeat(65), &own).is_err());
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_and_knows_its_password() {
        let hash = hash(&Random::system(), "wet gravel under the lantern").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right(Some(hash.clone()), "wet gravel under the lantern").await.unwrap());
        assert!(!is_right(Some(hash), "wet gravel under the lanterns").await.unwrap());
        assert!(!is_right(None, "nobody has this password").await.unwrap());
    }
}
