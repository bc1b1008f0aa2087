//! `readalong user`: who may sign in.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{client::Client, cmd::list::for_each, data::Data, output};

/// Who may sign in: owners share chats, viewers open private shares, admins do all
#[derive(Args)]
pub(crate) struct User {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    data: Data,
}

#[derive(Subcommand)]
enum Command {
    /// Add a user; asks for a password
    Add {
        /// Name to sign in with
        name: String,
        /// May share chats; without it the user may only open private shares
        #[arg(long)]
        owner: bool,
        /// May do all: also manage users, revoke anybody's shares, switch things for the whole server
        #[arg(long, conflicts_with = "owner")]
        admin: bool,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List users
    List {
        /// Print one line of JSON for each, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Set another password; ends all sessions of the user
    Passwd {
        /// Name of the user
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a user another role
    Role {
        /// Name of the user
        name: String,
        /// viewer, owner or admin
        #[arg(value_parser = ["viewer", "owner", "admin"])]
        role: String,
    },
    /// Remove a user with all their chats, shares, sessions and tokens
    Rm {
        /// Name of the user
        name: String,
    },
}

impl User {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.data.client()?;
        match self.command {
            Command::Add {
                name,
                owner,
                admin,
                password_stdin,
            } => {
                let role = match (admin, owner) {
                    (true, _) => "admin",
                    (false, true) => "owner",
                    (false, false) => "viewer",
                };
                let password = password(&name, password_stdin)?;
                let body = json!({ "name": name, "role": role, "password": password });
                let _: Value = client.post("/api/v1/users", &body)?;
                output::print_line(&format!("{name} ({role}) can sign in"))?;
            }
            Command::List { json } => for_each(&client, "/api/v1/users", &mut |user| {
                if json {
                    return output::print_line(&user.to_string());
                }
                let text = |member: &str| user[member].as_str().unwrap_or_default();
                let password = match user["has_password"].as_bool() {
                    Some(false) => ", without password",
                    _ => "",
                };
                output::print_line(&format!(
                    "{} ({}{password}, since {})",
                    text("name"),
                    text("role"),
                    text("created_at").get(..10).unwrap_or_default()
                ))
            })?,
            Command::Passwd {
                name,
                password_stdin,
            } => {
                let id = id_of(&client, &name)?;
                let body = json!({ "password": password(&name, password_stdin)? });
                let _: Value = client.patch(&format!("/api/v1/users/{id}"), &body)?;
                output::print_line(&format!(
                    "{name} has another password; their sessions ended"
                ))?;
            }
            Command::Role { name, role } => {
                let id = id_of(&client, &name)?;
                let _: Value =
                    client.patch(&format!("/api/v1/users/{id}"), &json!({ "role": role }))?;
                output::print_line(&format!("{name} ({role}) from now on"))?;
            }
            Command::Rm { name } => {
                let id = id_of(&client, &name)?;
                client.delete(&format!("/api/v1/users/{id}"))?;
                output::print_line(&format!(
                    "{name} is removed, with all their chats and shares"
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The id of the user with that name.
///
/// # Errors
/// There is none.
pub(crate) fn id_of(client: &Client, name: &str) -> anyhow::Result<i64> {
    // The server holds names for the same that differ in capitals only.
    let folded = name.to_lowercase();
    let mut found = None;
    for_each(client, "/api/v1/users", &mut |user| {
        let other = user["name"].as_str().unwrap_or_default();
        if other.to_lowercase() == folded {
            found = user["id"].as_i64();
        }
        Ok(())
    })?;
    found.ok_or_else(|| anyhow!("there is no user `{name}`; `readalong user list` lists them"))
}

/// Asks for a password twice, or takes the first line of standard input.
fn password(name: &str, from_stdin: bool) -> anyhow::Result<String> {
    if from_stdin {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    if !io::stdin().is_terminal() {
        bail!("no terminal to ask for a password; give it with --password-stdin");
    }
    let first = rpassword::prompt_password(format!("Password for {name}: "))?;
    let again = rpassword::prompt_password("Again: ")?;
    if first != again {
        bail!("the two passwords are not the same; nothing was changed");
    }
    Ok(first)
}
