//! Names that people take for the server, for those who run it, or for nobody: no sign-up gives them away.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::{fold, likeness};

/// docs/operations.md repeats this list; a test compares the two.
pub(super) const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "administration",
    "anonymous",
    "bot",
    "channel",
    "deleted",
    "everyone",
    "guest",
    "help",
    "helpdesk",
    "here",
    "hostmaster",
    "info",
    "maru",
    "moderator",
    "mod",
    "nobody",
    "noreply",
    "null",
    "official",
    "operator",
    "owner",
    "postmaster",
    "root",
    "security",
    "server",
    "service",
    "staff",
    "superuser",
    "support",
    "sysadmin",
    "sysop",
    "system",
    "team",
    "undefined",
    "unknown",
    "user",
    "webmaster",
    "you",
    "관리자",
    "운영자",
    "마루",
    "시스템",
    "고객센터",
    "管理者",
    "管理员",
    "管理員",
    "система",
    "администратор",
    "админ",
    "поддержка",
    "مدير",
    "مشرف",
];

static LIKENESSES: LazyLock<HashSet<String>> =
    LazyLock::new(|| RESERVED.iter().map(|name| plain(&likeness(&fold(name)))).collect());

/// `_`, `-` and `.` make no other name of it.
fn plain(likeness: &str) -> String {
    likeness.chars().filter(|c| !matches!(c, '_' | '-' | '.')).collect()
}

pub(super) fn is_reserved(likeness: &str) -> bool {
    LIKENESSES.contains(&plain(likeness))
}
