//! The command line: one definition per flag, which gives parsing, help and the reference page.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A customer data platform: events in, one true profile per person out, every use with a legal basis.
#[derive(Debug, Parser)]
#[command(name = "tessera", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The folder that holds everything.
    #[arg(long, global = true, env = "TESSERA_DATA_DIR", default_value = "data", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,
    /// A server elsewhere; otherwise the one that serves the data folder.
    #[arg(long, global = true, env = "TESSERA_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The token to ask it with; otherwise the one in the data folder.
    #[arg(long, global = true, env = "TESSERA_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file of the authority that signed the server's certificate; otherwise the public ones are trusted.
    #[arg(long, global = true, env = "TESSERA_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Settings file (TOML); `docs/reference/settings.md` lists what it may say.
    #[arg(long, global = true, env = "TESSERA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the tracking API and the admin API from the data folder.
    Serve(Serve),
    /// Write a starter workspace to a folder: one source, two purposes, to change and apply.
    Init {
        /// Where to write it.
        #[arg(default_value = "workspace")]
        folder: PathBuf,
    },
    /// Bring the server's workspace to what these files say.
    Apply {
        #[command(flatten)]
        files: FilesArg,
        /// Also remove what the files do not name.
        #[arg(long)]
        prune: bool,
    },
    /// Show what `apply` would change.
    Diff {
        #[command(flatten)]
        files: FilesArg,
        /// Also count what the files do not name as removed.
        #[arg(long)]
        prune: bool,
    },
    /// Show what `apply` would do to the people that are there: who, which fields, which deliveries. Changes nothing.
    Simulate {
        #[command(flatten)]
        files: FilesArg,
        /// Also take what the files do not name as removed.
        #[arg(long)]
        prune: bool,
        /// Ask about a later moment, such as a cut-off: 2030-01-31 or 2030-01-31T12:00:00Z. Now unless given.
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
    },
    /// Print the server's workspace as YAML documents.
    Export,
    /// Import a CSV, JSON Lines or Parquet file. Safe to repeat: rows taken are not taken twice.
    Import(crate::commands::import::Import),
    /// Show, list, merge and split profiles.
    #[command(subcommand)]
    Profile(Profile),
    /// List and show households and accounts: people who belong together.
    #[command(subcommand)]
    Group(crate::commands::group::Group),
    /// See which identifiers stand with too many people to say who one is.
    #[command(subcommand)]
    Identity(Identity),
    /// Review pairs that a matcher is unsure of: accept, reject, reopen.
    #[command(subcommand)]
    Review(crate::commands::review::Review),
    /// Take evidence away, so that what it held together comes apart; first shows what that does.
    Undo(crate::commands::undo::Undo),
    /// List what was undone, and take an undo back.
    #[command(subcommand)]
    Undos(crate::commands::undo::Undos),
    /// Find which records of files, or which profiles, are one person, and show why.
    #[command(subcommand)]
    Match(crate::commands::matching::Match),
    /// List, show and replay what could not be accepted.
    #[command(subcommand)]
    Reject(Reject),
    /// Learn, try and compare tracking plans: which events sources may send, and of what shape.
    #[command(subcommand)]
    Plan(crate::commands::plan::Plan),
    /// List and acknowledge what is not as tracking plans expect.
    #[command(subcommand)]
    Alert(crate::commands::plan::Alert),
    /// Watch events as they are accepted, rejected, denied and merged.
    Live {
        /// Only these: accepted, rejected, denied, duplicate, merged, split, applied, alert.
        #[arg(long, value_delimiter = ',')]
        kind: Vec<String>,
    },
    /// See how destinations do, and replay their dead letters.
    #[command(subcommand)]
    Destination(Destination),
    /// Give and take access: accounts, tokens, roles.
    #[command(subcommand)]
    Access(Access),
    /// Show what a person said about purposes, put new words on record, make receipts.
    #[command(subcommand)]
    Consent(crate::commands::consent::Consent),
    /// Work on requests of data subjects: access, portability, rectification, erasure, restriction, objection.
    #[command(subcommand)]
    Dsr(crate::commands::dsr::Dsr),
    /// Erase a person: opens a request, fulfils it, and waits until no byte is left.
    Erase(crate::commands::erase::Erase),
    /// List and lift erasures, and look for values that must be gone.
    #[command(subcommand)]
    Erasures(crate::commands::erase::Erasures),
    /// Remove now what no purpose covers any more; the server does so by itself every day.
    Sweep,
    /// Answer who got what and why; export the evidence, and check an export.
    #[command(subcommand)]
    Evidence(crate::commands::evidence::Evidence),
    /// What a regulator asks for: records of processing, the policy report, who a breach touched.
    #[command(subcommand)]
    Report(crate::commands::report::Report),
    /// Say what is known of e-mail addresses, telephone numbers, names and other contact data. Needs no server.
    Validate(crate::commands::validate::Validate),
    /// Tell how good the data is: a report on every source and field, its trend, an audit now.
    #[command(subcommand)]
    Quality(crate::commands::quality::Quality),
    /// Look at audiences: what is defined, what a definition would come to, who is a member and why.
    #[command(subcommand)]
    Audience(crate::commands::audience::Audience),
    /// Ask a question in SQL over everybody, for one purpose.
    Sql(crate::commands::sql::Sql),
    /// Look after what other engines read.
    #[command(subcommand)]
    Lake(crate::commands::lake::Lake),
    /// Ask what ships: funnels, retention, RFM, new against returning, top paths; as tables, files and pictures.
    #[command(subcommand)]
    Insight(crate::commands::insight::Insight),
    /// Replay the log into a fresh store and compare the state; verify the evidence. The server must not run.
    Verify,
    /// Make a lost or corrupt store anew from the log, and fill a lake that was lost. The server must not run.
    Rebuild {
        /// Deliver everything again, where the old store can no longer say what was delivered.
        #[arg(long)]
        repeat_deliveries: bool,
    },
    /// Load a shop's year into a data folder, serve it, and print what to try.
    Demo(crate::commands::demo::Demo),
    /// Print a generated reference page.
    #[command(hide = true)]
    Docs {
        /// Which page.
        page: crate::commands::docs::Page,
    },
}

/// `tessera serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one. Over the setting `server.listen`.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Workspace files.
#[derive(Debug, Args)]
pub(crate) struct FilesArg {
    /// A YAML file, or a folder of them; may be given more than once.
    #[arg(short = 'f', long = "file", required = true, value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
}

/// `tessera profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Show a profile by `namespace:value` or by its id.
    Show {
        /// For example `email:ada@example.com`.
        reference: String,
        /// Parts to add: provenance, alternatives, contacts, events, merges, groups.
        #[arg(long, value_delimiter = ',')]
        include: Vec<String>,
        /// Show only what this purpose may see.
        #[arg(long)]
        purpose: Option<String>,
    },
    /// Show why a trait has the value it has: the rule, the surviving word, and the words of other sources.
    Explain {
        /// For example `email:ada@example.com`.
        reference: String,
        /// The trait: `plan`.
        #[arg(value_name = "TRAIT")]
        name: String,
        /// Show only what this purpose may see.
        #[arg(long)]
        purpose: Option<String>,
    },
    /// List profiles, oldest id first.
    List {
        /// Most profiles to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this cursor.
        #[arg(long)]
        after: Option<String>,
        /// Only profiles with an identifier of this namespace.
        #[arg(long)]
        namespace: Option<String>,
        /// Only profiles whose trait has this value: `plan=pro`.
        #[arg(long = "trait", value_name = "NAME=VALUE")]
        traits: Vec<String>,
    },
    /// Merge two profiles: they are one person. Limits do not stand against it; `split` and `undo` take it back.
    Merge {
        /// The one: `user_id:1`.
        a: String,
        /// The other.
        b: String,
        /// Why, for those who ask later. Name no persons.
        #[arg(long)]
        reason: String,
    },
    /// Take identifiers out of a profile, exactly as if they had never been linked to it.
    Split {
        /// The profile.
        reference: String,
        /// The identifiers that go, together, into a profile of their own.
        #[arg(required = true, value_name = "NAMESPACE:VALUE")]
        identifiers: Vec<String>,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// `tessera identity`.
#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// List shared identifiers, those with the most people first, by fragment; `tessera profile show FRAGMENT` shows
    /// the value to who may see it.
    Shared {
        /// Most to print.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

/// `tessera reject`.
#[derive(Debug, Subcommand)]
pub(crate) enum Reject {
    /// List rejects, oldest first.
    List {
        /// Only this code: TES-I006.
        #[arg(long)]
        code: Option<String>,
        /// Only what this tracking plan refused.
        #[arg(long)]
        plan: Option<String>,
        /// Most rejects to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this id.
        #[arg(long)]
        after: Option<String>,
    },
    /// Show one reject with its payload.
    Show {
        /// Its id, from the list.
        id: String,
    },
    /// Send rejects through the pipeline again; those accepted leave the list.
    Replay {
        /// Their ids.
        #[arg(required_unless_present_any = ["code", "plan", "all"])]
        ids: Vec<String>,
        /// All of this code.
        #[arg(long, conflicts_with = "ids")]
        code: Option<String>,
        /// All that this tracking plan refused.
        #[arg(long, conflicts_with = "ids")]
        plan: Option<String>,
        /// All.
        #[arg(long, conflicts_with_all = ["ids", "code", "plan"])]
        all: bool,
    },
}

/// `tessera destination`.
#[derive(Debug, Subcommand)]
pub(crate) enum Destination {
    /// List destinations: waiting, delivered, denied, dead letters, trouble.
    List,
    /// List what a destination refused or never took.
    DeadLetters {
        /// The destination.
        name: String,
        /// Most to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Try all dead letters of a destination again.
    Replay {
        /// The destination.
        name: String,
    },
}

/// `tessera access`.
#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// List accounts.
    List,
    /// Make an account for a program and print its token, once; or change what an account may see.
    AddToken {
        /// Its name: what audits show.
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Make an account for a person, who signs in. The password comes from standard input.
    AddPerson {
        /// Its name: what audits show.
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Give an account another token, or a person another password (from standard input). The old one ends at once.
    Rotate {
        /// The account.
        name: String,
    },
    /// Take access away, at once.
    Remove {
        /// The account.
        name: String,
    },
    /// Show whose token is used, and what it may do.
    Whoami,
    /// Sign in as a person and print the token of the session. The password comes from standard input.
    SignIn {
        /// The account.
        name: String,
    },
    /// End the session whose token is used.
    SignOut,
}

/// What an account may do and see.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// admin, marketer, analyst, service_agent, privacy_officer or auditor.
    #[arg(long)]
    pub(crate) role: String,
    /// A purpose that it sees data for; may be given more than once. For marketers, analysts and service agents.
    #[arg(long = "purpose", value_name = "PURPOSE")]
    pub(crate) purposes: Vec<String>,
    /// A label that it sees beyond its role: I1, direct identifiers. For marketers and analysts.
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// Days after which it ends; never unless given.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_days: Option<u32>,
}
