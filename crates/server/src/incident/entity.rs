//! The things an alert names, in a form that can be compared: what correlation links on.
//!
//! One piece of evidence may give several keys of one thing (a device by its product id, its full
//! name and its short name), because different products know the same thing differently; those
//! keys share a [`Entity::thing`]. Invariants: keys are normalised, the list has no double, it is
//! the same for the same body, and at most [`MAX_ENTITIES`] long, the most telling kinds first.
//! Unknown evidence gives nothing. An entity of weight 0 never links and says why.
//! Not here: how common an entity is in a tenant; see `correlation`.

mod extract;
pub mod worth;

use sha2::{Digest, Sha256};

pub use extract::entities;

/// Entities kept of one alert; the rest is only counted.
pub const MAX_ENTITIES: usize = 1_000;

const HOUR: i64 = 3_600_000_000;
/// How long two sightings of a lasting thing may lie apart and still belong together: a weekend
/// with its Friday or its Monday.
pub const WINDOW: i64 = 72 * HOUR;

/// What kind of thing an entity is. The number is stored and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// A device by a key that names one device.
    Device = 1,
    /// A device by its short name, which two domains may both have given.
    DeviceName = 2,
    /// An account by a key its directory gave; a mailbox is its owner's account.
    Account = 3,
    /// An account by a name without a directory.
    AccountName = 4,
    /// A mail or chat message.
    Message = 5,
    /// An IP address.
    Ip = 6,
    /// A URL.
    Url = 7,
    /// A DNS name.
    Domain = 8,
    /// A file by the hash of its content.
    File = 9,
    /// A process on its device.
    Process = 10,
    /// A resource of a cloud.
    CloudResource = 11,
    /// An application or service principal of the directory.
    Application = 12,
    /// A registry value or key on its device.
    Registry = 13,
    /// A container, pod or other Kubernetes object.
    Container = 14,
    /// A sign-in request or session.
    Session = 15,
    /// A source code organisation, repository or user.
    Repository = 16,
    /// The same detection on the same device: what keeps a storm together when its device is too
    /// busy to say anything by itself.
    Repeat = 17,
    /// One detection told in two alerts, one saying who, the other where.
    Halves = 18,
}

impl EntityKind {
    /// The word shown to people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::DeviceName => "device name",
            Self::Account => "account",
            Self::AccountName => "account name",
            Self::Message => "message",
            Self::Ip => "IP address",
            Self::Url => "URL",
            Self::Domain => "domain",
            Self::File => "file",
            Self::Process => "process",
            Self::CloudResource => "cloud resource",
            Self::Application => "application",
            Self::Registry => "registry value",
            Self::Container => "container",
            Self::Session => "sign-in session",
            Self::Repository => "repository",
            Self::Repeat => "same detection on the device",
            Self::Halves => "same detection in the domain",
        }
    }

    /// The kind of a stored number without its judgement (see [`Entity::code`]).
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        const ALL: [EntityKind; 18] = [
            EntityKind::Device,
            EntityKind::DeviceName,
            EntityKind::Account,
            EntityKind::AccountName,
            EntityKind::Message,
            EntityKind::Ip,
            EntityKind::Url,
            EntityKind::Domain,
            EntityKind::File,
            EntityKind::Process,
            EntityKind::CloudResource,
            EntityKind::Application,
            EntityKind::Registry,
            EntityKind::Container,
            EntityKind::Session,
            EntityKind::Repository,
            EntityKind::Repeat,
            EntityKind::Halves,
        ];
        ALL.into_iter().find(|kind| *kind as i16 == code % JUDGED)
    }

    /// How much sharing it says, in thousandths, while it is rare: 1000 names one party for good,
    /// an address is lent, a name without a directory may be another's.
    fn base_weight(self) -> u16 {
        match self {
            Self::Device | Self::Account | Self::Message | Self::Process | Self::Session => 1_000,
            Self::Repeat | Self::Registry | Self::Container | Self::CloudResource => 900,
            Self::File | Self::Url | Self::Application | Self::Repository => 800,
            Self::Domain | Self::DeviceName => 700,
            Self::Ip | Self::AccountName => 600,
            Self::Halves => 500,
        }
    }
}

/// Added to a kind's number when the source judged the thing hostile.
const JUDGED: i16 = 100;

/// Which sightings of an entity may link with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// Links with every sighting.
    #[default]
    Any,
    /// Links with every sighting but its own side.
    One,
    /// Links with every sighting but its own side.
    Two,
}

impl Side {
    /// Whether a sighting of this side may link with one of the other.
    #[must_use]
    pub fn links(self, other: Self) -> bool {
        self == Self::Any || self != other
    }

    /// The stored number.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::Any => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The side of a stored number; an unknown one links with nothing else's side.
    #[must_use]
    pub fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Any,
            1 => Self::One,
            _ => Self::Two,
        }
    }
}

/// One thing an alert names, by one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// What [`entity_id`] says of the kind and key.
    pub id: i64,
    /// What kind of thing it is.
    pub kind: EntityKind,
    /// Whether the source called it hostile. A hostile thing is an entity of its own beside the
    /// plain one, because it keeps its meaning longer and on more devices.
    pub judged: bool,
    /// Which sightings it may link with.
    pub side: Side,
    /// The normalised key, cut to 512 characters.
    pub key: String,
    /// The name people read.
    pub name: String,
    /// Which thing of this alert it names; keys of the same thing share the number.
    pub thing: u16,
    /// How much sharing it says, in thousandths, before commonness; 0 never links.
    pub weight: u16,
    /// Why the weight is 0.
    pub idle: Option<&'static str>,
}

impl Entity {
    /// The stored number: the kind's, plus 100 when judged hostile.
    #[must_use]
    pub fn code(&self) -> i16 {
        self.kind as i16 + if self.judged { JUDGED } else { 0 }
    }
}

/// How long two sightings of an entity of this stored number may lie apart and still link, in
/// microseconds. A device or an account lasts; an address is lent to whoever is connected, so
/// that it links for a working session only, unless it was called hostile.
#[must_use]
pub fn gap(code: i16) -> i64 {
    if code >= JUDGED {
        return WINDOW;
    }
    match EntityKind::from_code(code) {
        Some(EntityKind::Ip | EntityKind::Repeat) => HOUR,
        Some(EntityKind::Halves) => HOUR / 60,
        _ => WINDOW,
    }
}

/// How many different parties may share an entity of this stored number within a window before it
/// means nothing. A person works on a handful of devices and a file of an attack starts on some;
/// what is met on more than 32 within three days is infrastructure. Addresses and bare names
/// reach that point sooner. What the source called hostile may spread as an outbreak does.
#[must_use]
pub fn cap(code: i16) -> usize {
    if code >= JUDGED {
        return 256;
    }
    match EntityKind::from_code(code) {
        Some(EntityKind::Ip) => 16,
        Some(EntityKind::AccountName) => 8,
        // Five parties to one observation are a coincidence.
        Some(EntityKind::Halves) => 4,
        _ => 32,
    }
}

/// The id of an entity, the same everywhere: the first eight bytes of SHA-256 over its stored
/// number and key, so that no table has to hand ids out.
#[must_use]
pub fn entity_id(code: i16, key: &str) -> i64 {
    let mut hash = Sha256::new();
    hash.update(code.to_be_bytes());
    hash.update(key.as_bytes());
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    i64::from_be_bytes(first)
}

/// What an alert names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entities {
    /// The entities, most telling kinds first.
    pub list: Vec<Entity>,
    /// Keys beyond [`MAX_ENTITIES`] or too many of their kind, and evidence beyond what is read.
    pub left_out: usize,
}
