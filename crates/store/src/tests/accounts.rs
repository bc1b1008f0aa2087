//! Users and what signs them in.

use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn after_now(millis: i64) -> Timestamp {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    Timestamp::from_millis(now + millis).unwrap()
}

#[test]
fn users_have_one_name_and_a_password_that_nobody_prints() {
    let world = World::new();
    let user = world.write(Write::CreateUser {
        name: "Bob".into(),
        role: UserRole::Viewer,
        password_hash: Some("$argon2id$x".into()),
    });
    let id = user.user.unwrap();
    let error = world.refused(Write::CreateUser {
        name: "BOB".into(),
        role: UserRole::Owner,
        password_hash: None,
    });
    assert_eq!(error.to_string(), "`BOB` exists already");
    let bob = world.read(|reader| reader.user_by_name("bob")).unwrap();
    assert_eq!(
        (bob.id, bob.role, bob.has_password),
        (id, UserRole::Viewer, true)
    );
    assert_eq!(bob.name, "Bob");
    assert!(!format!("{bob:?}").contains("argon2id"));
    let hash = world.read(|reader| reader.password_hash(id));
    assert_eq!(hash.as_deref(), Some("$argon2id$x"));
    world.write(Write::SetRole {
        user: id,
        role: UserRole::Admin,
    });
    let users = world.read(|reader| reader.users());
    let roles: Vec<UserRole> = users.iter().map(|user| user.role).collect();
    assert_eq!(roles, [UserRole::Owner, UserRole::Admin]);
    let nobody = UserId(99);
    for write in [
        Write::SetPassword {
            user: nobody,
            password_hash: None,
        },
        Write::SetRole {
            user: nobody,
            role: UserRole::Admin,
        },
        Write::RemoveUser {
            user: nobody,
            with_chats: true,
        },
        Write::CreateSession {
            user: nobody,
            sha256: digest("s"),
            agent: String::new(),
            expires_at: after_now(1),
        },
    ] {
        assert!(matches!(world.refused(write), StoreError::NotFound));
    }
}

#[test]
fn of_two_admins_who_leave_one_stays() {
    let world = World::new();
    let admin = |name: &str| {
        let create = Write::CreateUser {
            name: name.into(),
            role: UserRole::Admin,
            password_hash: None,
        };
        world.write(create).user.unwrap()
    };
    let leaves: [fn(UserId) -> Write; 2] = [
        |user| Write::SetRole {
            user,
            role: UserRole::Owner,
        },
        |user| Write::RemoveUser {
            user,
            with_chats: true,
        },
    ];
    let first = admin("first");
    for (number, leaves) in leaves.into_iter().enumerate() {
        let second = admin(&format!("second {number}"));
        world.write(leaves(second));
        let error = world.refused(leaves(first));
        assert!(matches!(error, StoreError::LastAdmin), "{error}");
    }
    world.write(Write::SetRole {
        user: first,
        role: UserRole::Admin,
    });
    let user = world.read(|reader| reader.user(first)).unwrap();
    assert_eq!(user.role, UserRole::Admin);
}

#[test]
fn sessions_end() {
    let world = World::new();
    let begin = |name: &str, expires_at| {
        world.write(Write::CreateSession {
            user: world.owner,
            sha256: digest(name),
            agent: name.to_owned(),
            expires_at,
        });
    };
    let user_of = |name: &str, now| {
        let found = world.read(|reader| reader.session(digest(name), now));
        found.map(|(session, user)| {
            assert_eq!(session.user, user.id);
            user.id
        })
    };
    begin("a", after_now(60_000));
    begin("b", after_now(120_000));
    assert_eq!(user_of("a", after_now(0)), Some(world.owner));
    assert_eq!(user_of("a", after_now(61_000)), None);
    assert_eq!(user_of("b", after_now(61_000)), Some(world.owner));
    assert_eq!(user_of("c", after_now(0)), None);
    let sha256 = digest("a");
    world.write(Write::RemoveSession { sha256 });
    world.write(Write::RemoveSession { sha256 });
    assert_eq!(user_of("a", after_now(0)), None);
    world.write(Write::SetPassword {
        user: world.owner,
        password_hash: None,
    });
    assert_eq!(user_of("b", after_now(0)), None);
    begin("d", after_now(60_000));
    world.write(Write::RemoveSessionsOf(world.owner));
    assert_eq!(user_of("d", after_now(0)), None);
}

#[test]
fn a_link_signs_in_once() {
    let world = World::new();
    let make = |name: &str, expires_at| {
        world.write(Write::CreateSignin {
            user: world.owner,
            sha256: digest(name),
            expires_at,
        });
    };
    let take = |name: &str, session: &str| Write::Signin {
        sha256: digest(name),
        session: digest(session),
        agent: String::new(),
        expires_at: after_now(60_000),
    };
    make("old", after_now(-1));
    assert!(matches!(
        world.refused(take("old", "x")),
        StoreError::NotFound
    ));
    make("a", after_now(60_000));
    assert_eq!(world.write(take("a", "s")).user, Some(world.owner));
    assert!(matches!(
        world.refused(take("a", "t")),
        StoreError::NotFound
    ));
    let session = |name| world.read(|reader| reader.session(digest(name), after_now(0)));
    assert!(session("s").is_some() && session("t").is_none() && session("x").is_none());
}

#[test]
fn tokens_are_their_users() {
    let world = World::new();
    let other = add_user(&world.store, "bob");
    let make = |user, name: &str, expires_at| Write::CreateToken {
        user,
        name: name.into(),
        sha256: digest(&format!("{user:?}{name}")),
        expires_at,
    };
    let id = world
        .write(make(world.owner, "laptop", None))
        .token
        .unwrap();
    world.write(make(other, "laptop", Some(after_now(60_000))));
    let twice = world.refused(make(world.owner, "laptop", None));
    assert!(matches!(twice, StoreError::Exists { .. }), "{twice}");
    let find = |user: UserId, now| {
        let sha256 = digest(&format!("{user:?}laptop"));
        let found = world.read(|reader| reader.token(sha256, now));
        found.map(|(token, user)| (token.user, user.id, token.name))
    };
    let expected = |user: UserId| Some((user, user, "laptop".to_owned()));
    assert_eq!(find(world.owner, after_now(0)), expected(world.owner));
    assert_eq!(find(other, after_now(0)), expected(other));
    assert_eq!(find(other, after_now(60_001)), None);
    let not_theirs = world.refused(Write::RemoveToken { user: other, id });
    assert!(matches!(not_theirs, StoreError::NotFound));
    world.write(Write::RemoveToken {
        user: world.owner,
        id,
    });
    assert_eq!(find(world.owner, after_now(0)), None);
    assert_eq!(world.read(|reader| reader.tokens(other)).len(), 1);
}

#[test]
fn a_user_goes_with_all_that_is_theirs() {
    let world = World::new();
    world.share(1, Updates::Live);
    let user = world.owner;
    let error = world.refused(Write::RemoveUser {
        user,
        with_chats: false,
    });
    assert_eq!(error.to_string(), "the user still owns 1 chats");
    world.write(Write::RemoveUser {
        user,
        with_chats: true,
    });
    assert_eq!(world.read(|reader| reader.user(user)), None);
    assert_eq!(world.read(|reader| reader.chat(&world.chat)), None);
    let last = world.events.lock().unwrap().last().cloned();
    assert_eq!(last.unwrap().change, Change::ChatDeleted);
    assert_ne!(add_user(&world.store, "ada"), user);
}

#[test]
fn settings_are_kept() {
    let world = World::new();
    let set = |value: Option<&str>| {
        world.write(Write::Setting {
            key: "base_url".into(),
            value: value.map(str::to_owned),
        });
        world.read(|reader| reader.setting("base_url"))
    };
    assert_eq!(set(Some("a")), Some("a".into()));
    assert_eq!(set(Some("b")), Some("b".into()));
    assert_eq!(set(None), None);
}

#[test]
fn sessions_are_told_apart_and_end_one_by_one() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.write(Write::CreateSession {
            user: world.owner,
            sha256: digest(name),
            agent: name.to_owned(),
            expires_at: after_now(60_000),
        });
    }
    let agents = || {
        let sessions = world.read(|reader| reader.sessions(world.owner, after_now(0)));
        let mut agents: Vec<String> = sessions.into_iter().map(|one| one.agent).collect();
        agents.sort();
        agents
    };
    assert_eq!(agents(), ["a", "b", "c"]);
    let id = digest("b").to_string()[..16].to_owned();
    let end = |user| Write::RemoveSessionOf {
        user,
        id: id.clone(),
    };
    let nobody = world.refused(end(UserId(999)));
    assert!(matches!(nobody, StoreError::NotFound));
    world.write(end(world.owner));
    assert_eq!(agents(), ["a", "c"]);
    world.write(Write::RemoveOtherSessions {
        user: world.owner,
        keep: digest("c"),
    });
    assert_eq!(agents(), ["c"]);
}

#[test]
fn whom_a_provider_knows_stays_the_same_user() {
    let world = World::new();
    let sign_up = |name: &str| {
        world.write(Write::SignUp {
            issuer: "https://a".to_owned(),
            subject: "1".to_owned(),
            name: name.to_owned(),
            role: UserRole::Viewer,
        })
    };
    let first = sign_up("Eve");
    let again = sign_up("Eve (2)");
    assert_eq!((again.user, again.created), (first.user, false));
    assert_eq!(world.read(|reader| reader.users()).len(), 2);
    let known = |issuer: &str, subject: &str| {
        let found = world.read(|reader| reader.identified(issuer, subject));
        found.map(|user| user.id)
    };
    assert_eq!(known("https://a", "1"), first.user);
    assert_eq!(known("https://b", "1"), None);
    assert_eq!(known("https://a", "2"), None);
    world.write(Write::RemoveUser {
        user: first.user.unwrap(),
        with_chats: true,
    });
    assert_eq!(known("https://a", "1"), None);
}

#[test]
fn the_first_owner_of_an_older_database_may_do_all() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let old = [
        include_str!("../migrations/1.sql"),
        include_str!("../migrations/2.sql"),
    ];
    connection.execute_batch(&old.concat()).unwrap();
    for (name, role) in [("eve", "viewer"), ("ada", "owner"), ("bob", "owner")] {
        let sql = "INSERT INTO users (name, name_folded, role, created_at) VALUES (?1, ?1, ?2, 0)";
        connection.execute(sql, [name, role]).unwrap();
    }
    let next = include_str!("../migrations/3.sql");
    connection.execute_batch(next).unwrap();
    let admins: Vec<String> = connection
        .prepare("SELECT name FROM users WHERE role = 'admin'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(admins, ["ada"]);
}
