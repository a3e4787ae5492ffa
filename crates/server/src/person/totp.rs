//! Codes of an authenticator app (RFC 6238), and the codes for when the app is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qrcode::QrCode;
use qrcode::render::svg;
use sha2::{Digest as _, Sha256};
use totp_rs::{Builder, Secret, Totp};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::Random;

/// The recovery codes a person gets.
pub const RECOVERY_CODES: usize = 10;

/// What an authenticator app must be told.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Enrolment {
    /// The secret in base32, to type.
    pub secret: String,
    /// The same as a link, `otpauth://totp/…`.
    pub uri: String,
    /// The link as a QR code: an SVG image.
    pub svg: String,
}

/// A new secret: 160 bits.
pub fn draw(random: &Random) -> Result<Vec<u8>> {
    Ok(random.bytes::<20>()?.to_vec())
}

/// What to show of a secret.
pub fn enrolment(secret: &[u8], email: &str, provider: &str) -> Result<Enrolment> {
    let text = Secret::from(secret.to_vec()).to_base32();
    let (issuer, account) = (encoded(&format!("Riposte {provider}")), encoded(email));
    let uri = format!("otpauth://totp/{issuer}:{account}?secret={text}&issuer={issuer}");
    let code = QrCode::new(uri.as_bytes()).map_err(Error::internal)?;
    let svg = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    Ok(Enrolment { secret: text, uri, svg })
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn totp(secret: &[u8]) -> Result<Totp> {
    // What every app does: SHA-1, six digits, thirty seconds; one step of skew either way.
    Builder::new()
        .with_secret(Secret::from(secret.to_vec()))
        .with_skew(1)
        .build()
        .map_err(|error| Error::Internal(format!("totp: {error}")))
}

/// The step of a code that is right at this time and was not used: later than `last`.
pub fn step_of(
    secret: &[u8],
    code: &str,
    now: Timestamp,
    last: Option<i64>,
) -> Result<Option<i64>> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let seconds = u64::try_from(now.micros() / 1_000_000).unwrap_or(0);
    let step = totp(secret)?.check(&code, seconds).and_then(|step| i64::try_from(step).ok());
    Ok(step.filter(|step| last.is_none_or(|last| *step > last)))
}

/// Fresh recovery codes: 80 random bits each, in groups that can be read aloud.
pub fn recovery_codes(random: &Random) -> Result<Vec<String>> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let text = Secret::from(random.bytes::<10>()?.to_vec()).to_base32().to_lowercase();
            let groups: Vec<&str> =
                (0..4).filter_map(|group| text.get(group * 4..group * 4 + 4)).collect();
            Ok(groups.join("-"))
        })
        .collect()
}

/// How a recovery code is kept; spelling does not matter.
#[must_use]
pub fn recovery_hash(person: &str, code: &str) -> String {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    BASE64.encode(Sha256::digest(format!("{person} {plain}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors of RFC 6238, cut to six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59_i64, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_micros(seconds * 1_000_000);
            assert_eq!(step_of(secret, code, now, None).unwrap(), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_counts_once_and_only_around_its_time() {
        let secret = b"12345678901234567890";
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let used = step_of(secret, "287082", at(59), None).unwrap();
        assert_eq!(used, Some(1));
        assert_eq!(step_of(secret, "287082", at(59), used).unwrap(), None, "used");
        assert_eq!(step_of(secret, "287 082", at(89), None).unwrap(), Some(1), "a step late");
        assert_eq!(step_of(secret, "287082", at(120), None).unwrap(), None, "too late");
        for nonsense in ["", "28708", "2870822", "28708a", "²87082"] {
            assert_eq!(step_of(secret, nonsense, at(59), None).unwrap(), None, "{nonsense}");
        }
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let codes = recovery_codes(&Random::system()).unwrap();
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert_eq!(codes[0].len(), 19);
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(recovery_hash("p", &codes[0]), recovery_hash("p", &typed));
        assert_ne!(recovery_hash("p", &codes[0]), recovery_hash("q", &codes[0]));
    }

    #[test]
    fn what_an_app_is_told_is_a_link_it_can_read() {
        let shown =
            enrolment(b"12345678901234567890", "signe+a@fjordwatch.example", "Fjord & Watch")
                .unwrap();
        assert_eq!(
            shown.uri,
            "otpauth://totp/Riposte%20Fjord%20%26%20Watch:signe%2Ba@fjordwatch.example\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Riposte%20Fjord%20%26%20Watch"
        );
        assert!(shown.svg.contains("<svg"));
    }
}
