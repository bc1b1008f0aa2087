//! What can be written, and what comes back.

use readalong_model::{
    Artifact, ChangeSet, ChatHead, ChatId, Digest, Message, MessageId, Part, Seq, Share, ShareId,
    ShareVisibility, Thread, Timestamp, Updates, UserId,
};

use crate::{LegacyLink, ShowcaseWrite, UserRole};

/// One thing to write, whole or not at all.
///
/// `by` is who asks: for anybody but the owner the thing does not exist. `None` is the program itself, which may do all.
#[derive(Clone, Debug)]
pub enum Write {
    /// Several, one after the other: all of them, or none where one cannot be done.
    All(Vec<Write>),
    /// Makes a chat. Where the owner has one with the same source already, that one is answered and nothing changes.
    CreateChat {
        /// Its id, made by the caller.
        id: ChatId,
        /// Who owns it.
        owner: UserId,
        /// Where it is followed from: unique among the owner's chats.
        source: Option<String>,
        /// What is said of it as a whole.
        head: ChatHead,
    },
    /// Takes what a source brings. What is there already, byte for byte, makes no event.
    Apply {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// What the source brings.
        changes: ChangeSet,
        /// False where the source itself outlasts a loss of power (a transcript file): no disk is waited for then.
        durable: bool,
    },
    /// Puts other parts in place of what a message says.
    Edit {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// The message.
        id: MessageId,
        /// What it says from now on.
        parts: Vec<Part>,
    },
    /// Hides a message from readers, or shows it again.
    Hide {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// The message.
        id: MessageId,
        /// True to hide it.
        hidden: bool,
    },
    /// Removes what a message says for good: it is in no file of the store after that. Its place stays, empty and hidden.
    Erase {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// The message.
        id: MessageId,
    },
    /// Hides an artifact from readers, or shows it again.
    HideArtifact {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// Its place in the chat's list.
        place: u32,
        /// True to hide it.
        hidden: bool,
    },
    /// Removes an artifact for good, in every version of the chat that is kept; its bytes do not come back.
    EraseArtifact {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// Its place in the chat's list.
        place: u32,
    },
    /// Takes back what the owner did, where nothing later was done to the same thing. What was removed for good does not come back.
    Undo {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// The event, as [`Reader::history`](crate::Reader::history) has it.
        seq: Seq,
    },
    /// Puts other content in place of rows that [`Reader::rows`](crate::Reader::rows) gave, in every version of the chat that is kept, as though it had always been so.
    Rewrite {
        /// The chat.
        chat: ChatId,
        /// The rows. One that is not there any more is passed over.
        rows: Vec<Row>,
    },
    /// Says which secrets of a chat stay because its owner wants them to.
    Keep {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// Kinds, rules and ids of secrets.
        kept: Vec<String>,
    },
    /// Gives a chat another name; the source's own does not come back.
    Rename {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
        /// The name.
        title: String,
    },
    /// Deletes a chat with all its shares, legacy links and artifacts that no other chat has.
    DeleteChat {
        /// The chat.
        chat: ChatId,
        /// Who asks.
        by: Option<UserId>,
    },
    /// Makes a share; its owner must own the chat. A frozen one without `frozen_at_seq` is frozen here and now.
    CreateShare(Share),
    /// Changes a share.
    ChangeShare {
        /// The share.
        id: ShareId,
        /// Who asks.
        by: Option<UserId>,
        /// What is to change.
        change: ShareChange,
    },
    /// Deletes shares: all of them, or none where one is not the asker's.
    DeleteShares {
        /// The shares.
        ids: Vec<ShareId>,
        /// Who asks.
        by: Option<UserId>,
    },
    /// Takes legacy links; one with a path that is there already takes its place. All chats must exist.
    ImportLegacy(Vec<LegacyLink>),
    /// Makes a user.
    CreateUser {
        /// The name to sign in with; capital letters do not make another name.
        name: String,
        /// What the user may do.
        role: UserRole,
        /// The password as argon2 writes it (PHC string); `None` for a user that signs in otherwise.
        password_hash: Option<String>,
    },
    /// Sets or takes away a password; ends all sessions of the user.
    SetPassword {
        /// The user.
        user: UserId,
        /// The password as argon2 writes it (PHC string).
        password_hash: Option<String>,
    },
    /// Changes what a user may do. The last admin stays one.
    SetRole {
        /// The user.
        user: UserId,
        /// What the user may do from now on.
        role: UserRole,
    },
    /// Removes a user with all tokens and sessions, and with its chats or only where it has none. The last admin stays.
    RemoveUser {
        /// The user.
        user: UserId,
        /// Whether its chats go with it; otherwise a user that has some stays.
        with_chats: bool,
    },
    /// Makes an API token.
    CreateToken {
        /// Whose.
        user: UserId,
        /// What it is for, in the owner's words; unique among the user's tokens.
        name: String,
        /// Digest of the token.
        sha256: Digest,
        /// From when on it is worth nothing.
        expires_at: Option<Timestamp>,
    },
    /// Removes an API token.
    RemoveToken {
        /// Whose.
        user: UserId,
        /// Its number.
        id: i64,
    },
    /// Begins a session.
    CreateSession {
        /// Whose.
        user: UserId,
        /// Digest of its cookie.
        sha256: Digest,
        /// The program that it is in, as it calls itself.
        agent: String,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Ends a session; one that is not there is no error.
    RemoveSession {
        /// Digest of its cookie.
        sha256: Digest,
    },
    /// Ends all sessions of a user.
    RemoveSessionsOf(UserId),
    /// Makes a token that signs in once.
    CreateSignin {
        /// Whom.
        user: UserId,
        /// Digest of the token.
        sha256: Digest,
        /// From when on it is worth nothing.
        expires_at: Timestamp,
    },
    /// Takes a token that signs in once, for ever, and begins a session. A token that is gone or expired is not found.
    Signin {
        /// Digest of the token.
        sha256: Digest,
        /// Digest of the new session's cookie.
        session: Digest,
        /// The program that it is in, as it calls itself.
        agent: String,
        /// When the session ends.
        expires_at: Timestamp,
    },
    /// Calls a user otherwise.
    RenameUser {
        /// The user.
        user: UserId,
        /// The name to sign in with from now on.
        name: String,
    },
    /// Ends one session of a user.
    RemoveSessionOf {
        /// Whose.
        user: UserId,
        /// The session's id.
        id: String,
    },
    /// Ends all sessions of a user but one.
    RemoveOtherSessions {
        /// Whose.
        user: UserId,
        /// Digest of the cookie of the one that stays.
        keep: Digest,
    },
    /// Says that a token or session was used now.
    Used {
        /// Digest of the token or cookie.
        sha256: Digest,
    },
    /// Makes a user of somebody whom a provider signs in. Whoever was made before is answered.
    SignUp {
        /// The provider.
        issuer: String,
        /// Who they are to it.
        subject: String,
        /// The name to sign in with.
        name: String,
        /// What they may do.
        role: UserRole,
    },
    /// Changes the showcase.
    Showcase(ShowcaseWrite),
    /// Sets or takes away a setting.
    Setting {
        /// Its name.
        key: String,
        /// Its value.
        value: Option<String>,
    },
}

impl Write {
    /// True where the disk is waited for before the write is acknowledged.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Self::All(writes) => writes.iter().any(Self::is_durable),
            write => !matches!(
                write,
                Self::Apply { durable: false, .. } | Self::Used { .. }
            ),
        }
    }

    /// True for what a source brings, which changes nothing but its chat.
    pub(crate) fn is_of_source(&self) -> bool {
        match self {
            Self::All(writes) => writes.iter().all(Self::is_of_source),
            write => matches!(write, Self::Apply { .. }),
        }
    }

    /// True for what takes something back: it is written also where the disk is full.
    pub(crate) fn takes_back(&self) -> bool {
        match self {
            Self::All(writes) => !writes.is_empty() && writes.iter().all(Self::takes_back),
            Self::Erase { .. }
            | Self::EraseArtifact { .. }
            | Self::HideArtifact { hidden: true, .. }
            | Self::Rewrite { .. }
            | Self::Hide { hidden: true, .. }
            | Self::DeleteChat { .. }
            | Self::DeleteShares { .. }
            | Self::RemoveUser { .. }
            | Self::RemoveToken { .. }
            | Self::RemoveSession { .. }
            | Self::RemoveSessionsOf { .. }
            | Self::RemoveSessionOf { .. }
            | Self::RemoveOtherSessions { .. }
            | Self::Showcase(ShowcaseWrite::Remove { .. })
            | Self::SetPassword { .. } => true,
            Self::ChangeShare { change, .. } => {
                change.visibility == Some(ShareVisibility::Private)
                    || change.includes_artifacts == Some(false)
                    || matches!(change.expires_at, Some(Some(_)))
            }
            _ => false,
        }
    }

    /// About how many events the write makes.
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::All(writes) => writes.iter().map(Self::events).sum(),
            Self::Apply { changes, .. } => {
                changes.messages.len() + changes.artifacts.len() + changes.removed.len() + 1
            }
            _ => 1,
        }
    }
}

/// Content of a chat that is kept: as it is now, or as a frozen share shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The event that brought it.
    pub seq: Seq,
    /// What it says.
    pub body: Body,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The chat as a whole.
    Head(ChatHead),
    /// A thread.
    Thread(Thread),
    /// An artifact.
    Artifact(Artifact),
    /// A message as its source says it.
    Message(Message),
    /// What the owner wrote in place of a message.
    Edited(Vec<Part>),
    /// The name that the owner gave.
    Title(String),
}

/// What of a share is to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareChange {
    /// Who can open its link.
    pub visibility: Option<ShareVisibility>,
    /// Whether images and files are in it.
    pub includes_artifacts: Option<bool>,
    /// What it is called; `Some(None)` for as the chat.
    pub name: Option<Option<String>>,
    /// From when on its link is dead; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether later messages appear. A share that becomes frozen is frozen at this write.
    pub updates: Option<Updates>,
    /// Freezes the share at this event. It must be one whose state of the chat is still kept, as it is where nothing but new messages came since.
    /// One that is yet to come is this write.
    pub frozen_at_seq: Option<Seq>,
    /// The bundle that a frozen share serves.
    pub bundle: Option<Option<Digest>>,
}

/// A chat after changes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last event of the chat.
    pub last_seq: Seq,
    /// How many messages it has.
    pub messages: u32,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The last event of the log after the write.
    pub seq: Seq,
    /// How many events it made.
    pub events: u64,
    /// The chat that changes of a source were applied to, as it is afterwards.
    pub applied: Option<Applied>,
    /// The chat that was made, or was there with the same source.
    pub chat: Option<ChatId>,
    /// The user that was made, or who signed in.
    pub user: Option<UserId>,
    /// The number of the token that was made.
    pub token: Option<i64>,
    /// True where something was made; false where it was there.
    pub created: bool,
}
