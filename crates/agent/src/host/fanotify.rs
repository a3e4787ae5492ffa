//! What starts on the device, as the kernel says it: asked for leave, or told afterwards.
//!
//! Marks are put on mounts of this mount namespace that programs can start from, or on their file
//! systems. With marks on mounts, a program started in another mount namespace is not seen.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags,
    Response,
};

use super::mounts;
use crate::fault::{During, Fault, Result};

/// How far marks reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Marks {
    /// The mounts of this mount namespace and no others.
    #[default]
    Mounts,
    /// The file systems that are mounted here, through whatever mount a program starts: a mount
    /// namespace that somebody makes does not get round them.
    Filesystems,
}

impl Marks {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mounts => "mounts",
            Self::Filesystems => "filesystems",
        }
    }
}

/// A group of marks.
#[derive(Debug)]
pub(crate) struct Group {
    fanotify: Fanotify,
    mask: MaskFlags,
    reach: MarkFlags,
}

/// A program that starts.
#[derive(Debug)]
pub(crate) struct Start {
    event: FanotifyEvent,
}

impl Group {
    /// Marks every mount to be asked before a program starts.
    pub(crate) fn asked(marks: Marks) -> Result<Self> {
        let mut group =
            Self::unmarked(InitFlags::FAN_CLASS_CONTENT, MaskFlags::FAN_OPEN_EXEC_PERM)?;
        if marks == Marks::Filesystems {
            group.reach = MarkFlags::FAN_MARK_FILESYSTEM;
        }
        group.marked()
    }

    /// Marks every mount to be told when a program starts.
    pub(crate) fn told() -> Result<Self> {
        Self::unmarked(InitFlags::FAN_CLASS_NOTIF, MaskFlags::FAN_OPEN_EXEC)?.marked()
    }

    /// Finds out whether programs could be stopped here, on a file that is none.
    pub(crate) fn try_asked() -> Result<()> {
        let group = Self::unmarked(InitFlags::FAN_CLASS_CONTENT, MaskFlags::FAN_OPEN_EXEC_PERM)?;
        group
            .fanotify
            .mark(MarkFlags::FAN_MARK_ADD, group.mask, rustix::fs::CWD, Some("/etc/passwd"))
            .during("the kernel cannot ask before a program starts")
    }

    fn unmarked(class: InitFlags, mask: MaskFlags) -> Result<Self> {
        let flags = class | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
        let events = EventFFlags::O_RDONLY
            | EventFFlags::O_LARGEFILE
            | EventFFlags::O_CLOEXEC
            | EventFFlags::O_NOATIME;
        let fanotify = Fanotify::init(flags, events).during("fanotify is not available")?;
        Ok(Self { fanotify, mask, reach: MarkFlags::FAN_MARK_MOUNT })
    }

    fn marked(self) -> Result<Self> {
        if self.mark() == 0 {
            return Err(Fault::new("fanotify is not available: no mount can be marked"));
        }
        Ok(self)
    }

    /// Marks the mounts that there are now; says how many.
    pub(crate) fn mark(&self) -> usize {
        let how = MarkFlags::FAN_MARK_ADD | self.reach;
        mounts::executable()
            .iter()
            .filter(|point| {
                let marked = self.fanotify.mark(how, self.mask, rustix::fs::CWD, Some(*point));
                if let Err(e) = &marked {
                    tracing::debug!("cannot mark {}: {e}", point.display());
                }
                marked.is_ok()
            })
            .count()
    }

    /// What starts; empty when nothing does.
    pub(crate) fn starts(&self) -> Result<Vec<Start>> {
        match self.fanotify.read_events() {
            Ok(events) => Ok(events.into_iter().map(|event| Start { event }).collect()),
            // Without room for another open file the kernel refuses the program that it could not
            // ask about; whoever floods gains nothing, and the next is asked about again.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::EMFILE | Errno::ENFILE) => Ok(Vec::new()),
            Err(e) => Err(e).during("cannot read what starts"),
        }
    }

    /// Lets a program start, or not.
    pub(crate) fn answer(&self, start: &Start, allow: bool) {
        let Some(fd) = start.event.fd() else { return };
        let response = if allow { Response::FAN_ALLOW } else { Response::FAN_DENY };
        if let Err(e) = self.fanotify.write_response(FanotifyResponse::new(fd, response)) {
            tracing::debug!("cannot answer: {e}");
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fanotify.as_fd()
    }
}

impl Start {
    /// Who starts it.
    pub(crate) fn pid(&self) -> i32 {
        self.event.pid()
    }

    /// Whether the kernel lost events before this.
    pub(crate) fn is_overflow(&self) -> bool {
        self.event.mask().contains(MaskFlags::FAN_Q_OVERFLOW)
    }

    /// The program, held open without being noticed.
    pub(crate) fn file(&self) -> Option<OwnedFd> {
        self.event.fd()?.try_clone_to_owned().ok()
    }

    /// Where the program is.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd as _;
        std::fs::read_link(format!("/proc/self/fd/{}", self.event.fd()?.as_raw_fd())).ok()
    }
}
