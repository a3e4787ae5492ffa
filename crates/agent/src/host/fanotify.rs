//! What starts on the device, as the kernel says it: asked for leave, or told afterwards.
//!
//! Marks are put on mounts of this mount namespace that programs can start from. A program started
//! in another mount namespace (a container's) is not seen.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags,
    Response,
};

use super::mounts;
use crate::fault::{During, Fault, Result};

/// A group of marks.
#[derive(Debug)]
pub(crate) struct Group {
    fanotify: Fanotify,
    mask: MaskFlags,
}

/// A program that starts.
#[derive(Debug)]
pub(crate) struct Start {
    event: FanotifyEvent,
}

impl Group {
    /// Marks every mount to be asked before a program starts.
    pub(crate) fn asked() -> Result<Self> {
        Self::new(InitFlags::FAN_CLASS_CONTENT, MaskFlags::FAN_OPEN_EXEC_PERM)
    }

    /// Marks every mount to be told when a program starts.
    pub(crate) fn told() -> Result<Self> {
        Self::new(InitFlags::FAN_CLASS_NOTIF, MaskFlags::FAN_OPEN_EXEC)
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
        Ok(Self { fanotify, mask })
    }

    fn new(class: InitFlags, mask: MaskFlags) -> Result<Self> {
        let group = Self::unmarked(class, mask)?;
        if group.mark() == 0 {
            return Err(Fault::new("fanotify is not available: no mount can be marked"));
        }
        Ok(group)
    }

    /// Marks the mounts that there are now; says how many.
    pub(crate) fn mark(&self) -> usize {
        let how = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_MOUNT;
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
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Vec::new()),
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
