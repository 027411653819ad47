//! The daemon: settings, wiring, signals, orderly stop.
//!
//! Owns the order in which the parts come up and go down. Refuses to know
//! what any of them does.

mod data_dir;
mod left_over;
mod outcry;
mod signals;
mod systemd;
mod telling;
mod watch;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::{mpsc, watch as shown};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use data_dir::DataDir;

use crate::alerts::desk::Desk;
use crate::clock::{Clock, SystemClock};
use crate::credentials::folder::Folder;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::credentials::redact::Redactor;
use crate::engine::credentials::Credentials;
use crate::engine::dispatch::{Channels, Dispatcher, Drain, Parts};
use crate::engine::reload::{self, Load, Reloader, tell_bad_files};
use crate::engine::{Handle, View, retention};
use crate::kinds::Kinds;
use crate::kinds::output::Outputs;
use crate::kinds::post::Post;
use crate::kinds::process;
use crate::model::NodeId;
use crate::plan::alert;
use crate::plan::state::Seats;
use crate::spec::config::{self, Config};
use crate::spec::{self, Catalog, Kept, Settings};
use crate::store::sqlite::Sqlite;
use crate::store::{Keep, NewNode, Store};
use crate::web;
use crate::yaml::{arrange, render};

/// Time for the copies of job files that are still being made when everything else has ended.
const COPIES: Duration = Duration::from_secs(5);

/// Requests that wait for the loop.
const REQUESTS: usize = 1024;

/// The scheduler daemon: runs the jobs in jobs.d on schedule.
///
/// Exit codes: 0 stopped in order, 1 could not start or (with --check) errors found, 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "jada-agent", version)]
pub struct Args {
    /// The daemon's settings; all of them are optional, and so is the file
    #[arg(long, value_name = "FILE", default_value = "jada.yaml")]
    config: PathBuf,
    /// The folder with the job files [default: jobs.d, or as the settings say]
    #[arg(long, value_name = "DIR")]
    jobs_dir: Option<PathBuf>,
    /// The folder for the store, output and socket [default: var, or as the settings say]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The loopback address of the read-only page [default: 127.0.0.1:7411, or as the settings say]
    #[arg(long, value_name = "ADDR", value_parser = config::loopback)]
    listen: Option<SocketAddr>,
    /// Check the settings and every job file, print what is wrong, and exit
    #[arg(long)]
    check: bool,
}

/// Runs the daemon to its end and says how it went.
#[must_use]
pub fn main(args: &Args) -> ExitCode {
    log_to_stderr();
    // Two threads are enough for a loop that waits and a store that has its own; each costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run(args));
            // What is left is threads that wait for a dead disk or name server.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error).context("can't start the async runtime"),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("JADA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false);
    // journald stamps each line itself.
    let set = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
    // A test that runs two daemons in one process has set it already.
    let _already_set = set.is_err();
}

async fn run(args: &Args) -> Result<ExitCode> {
    process::raise_open_files();
    keep_memory_to_itself();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = settings(args);
    if args.check {
        return Ok(check(&config, clock.now()));
    }
    if !config.is_good() {
        complain(&config.diagnostics);
        bail!("{} has errors: mend it and start again", args.config.display());
    }
    let settings = Arc::new(config.settings);
    let data = DataDir::open(&settings.data_dir)?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(data.path.join("jada.db"))?);
    let ended = serve(&settings, &data, &store, clock).await;
    if let Err(error) = store.close().await {
        tracing::warn!(%error, "the store was not closed in order; the next start recovers it");
    }
    ended?;
    tracing::info!("stopped in order");
    Ok(ExitCode::SUCCESS)
}

/// The settings, with what the command line says over what the file says.
fn settings(args: &Args) -> Config {
    let mut config = config::read(&args.config);
    let settings = &mut config.settings;
    if let Some(dir) = &args.jobs_dir {
        settings.jobs_dir.clone_from(dir);
    }
    if let Some(dir) = &args.data_dir {
        settings.data_dir.clone_from(dir);
    }
    if let Some(address) = args.listen {
        settings.listen = address;
    }
    config
}

fn check(config: &Config, now: jiff::Timestamp) -> ExitCode {
    let checked = spec::check(&[], config, now);
    complain(&checked.diagnostics);
    if checked.has_errors() {
        return ExitCode::FAILURE;
    }
    tracing::info!(files = checked.files, jobs = checked.jobs, "no errors");
    ExitCode::SUCCESS
}

fn complain(diagnostics: &[crate::yaml::Diagnostic]) {
    if diagnostics.is_empty() {
        return;
    }
    let mut diagnostics = diagnostics.to_vec();
    arrange(&mut diagnostics);
    let report = render::human(&diagnostics, false);
    // Nobody left to read it is no reason to fail.
    let _unread = std::io::stderr().write_all(report.as_bytes());
}

/// Brings everything up, serves until a signal says stop, and takes everything down.
async fn serve(
    settings: &Arc<Settings>,
    data: &DataDir,
    store: &Arc<dyn Store>,
    clock: Arc<dyn Clock>,
) -> Result<()> {
    let outputs = Outputs::at(&data.path);
    let node = register(settings, store.as_ref(), clock.as_ref()).await?;
    let going_on = left_over::end(&data.path, store.as_ref(), clock.as_ref()).await?;
    let (requests, inbox) = mpsc::channel(REQUESTS);
    let kept = Kept::at(&data.path);
    let load = loader((Arc::clone(settings), kept.clone()), Arc::clone(&clock));
    let dir = settings.jobs_dir.clone();
    let reloader = Reloader::on(dir, Arc::clone(&load), Arc::clone(&clock), requests.clone());
    let catalog = Arc::new(load(&Catalog::default()));
    let (view, viewed) = shown::channel(Arc::new(View::default()));
    let (reload, asked) = mpsc::channel(16);
    let engine = Handle::new(requests, viewed);
    let desk = telling::desk(settings, store, &clock);
    let server = server(data, (settings, &desk), (store, &engine), &outputs).await?;
    let address = server.address();
    let shutdown = CancellationToken::new();
    let keeper = keeper(settings, data, &clock, outputs.redactor()).await;
    let tending = tokio::spawn(Arc::clone(&keeper).run(shutdown.clone()));
    let kinds = Kinds::new(&data.path, Some(Arc::clone(&keeper)));
    let leaving = kinds.leaving();
    let mut dispatcher = Dispatcher::new(
        Parts {
            store: Arc::clone(store),
            clock: Arc::clone(&clock),
            perform: Arc::new(kinds),
            node,
            outputs: outputs.clone(),
            seats: seats(settings),
            credentials: Credentials::of(&settings.credentials, keeper.standings()),
        },
        Channels { requests: inbox, view, reload },
        Arc::clone(&catalog),
    )
    .while_held(data.held());
    let (drain, stopping) = shown::channel(Drain::No);
    let ways = || telling::ways(&desk, (&data.path, &keeper, outputs.redactor()));
    let outcry = outcry::run(engine.clone(), ways(), Arc::clone(&clock));
    let (telling, delivering) = telling::start(&desk, ways(), &shutdown);
    let ring = telling::ring(engine.clone(), desk.bell);
    let ground = ground(settings, data, (store, &engine), &clock);
    let heart = heart(settings, &keeper, &clock);
    let (mut beat, own) = watch::start(ground, delivering, heart, node_name(settings));
    let (keep, bytes) = (keeping(settings, &engine), settings.retention.bytes);
    let sweep = retention::run(Arc::clone(store), outputs, Arc::clone(&clock), keep, bytes);
    let (in_force, kept_up) = shown::channel(Arc::clone(&catalog));
    let follow = reloader.run(in_force, asked);
    let errands = tokio::spawn(until(shutdown.clone(), async move {
        tokio::select! {
            () = sweep => {}
            () = follow => {}
            () = own.run() => {}
            () = ring => {}
            () = outcry => {}
        }
    }));
    let door = tokio::spawn(server.serve(shutdown.clone()));
    let signals = tokio::spawn(signals::heed(engine, (drain, leaving), Arc::clone(&clock)));
    dispatcher.give_up(going_on);
    // Ready means that the jobs are in force, and that what an earlier daemon left is settled.
    dispatcher.step().await;
    greet(settings, &catalog, address);
    systemd::tell(&[sd_notify::NotifyState::Ready]);
    let copies = tokio::spawn(reload::keep(kept, kept_up));
    dispatcher.run(stopping, beat.every, |advance| beat.beat(advance)).await;
    shutdown.cancel();
    signals.abort();
    let _ended = tokio::join!(errands, door, tending, telling);
    finish(copies, clock.as_ref()).await;
    data.check_held()
}

/// What the watch stands on.
fn ground<'a>(
    settings: &'a Settings,
    data: &'a DataDir,
    (store, engine): (&'a Arc<dyn Store>, &'a Handle),
    clock: &'a Arc<dyn Clock>,
) -> watch::Ground<'a> {
    let notify = &settings.alerts.notify;
    watch::Ground { store, clock, engine, data_dir: &data.path, notify }
}

/// The door, which has its socket and address, and does not answer yet.
async fn server(
    data: &DataDir,
    (settings, desk): (&Settings, &Desk),
    (store, engine): (&Arc<dyn Store>, &Handle),
    outputs: &Outputs,
) -> Result<web::Server> {
    let parts = web::Parts {
        store: Arc::clone(store),
        engine: engine.clone(),
        clock: Arc::clone(&desk.clock),
        desk: desk.clone(),
        outputs: outputs.clone(),
        socket: data.path.join("jada.sock"),
        listen: Some(settings.listen),
    };
    Ok(web::Server::bind(parts).await?)
}

/// Who keeps the declared credentials usable.
async fn keeper(
    settings: &Settings,
    data: &DataDir,
    clock: &Arc<dyn Clock>,
    redactor: Arc<Redactor>,
) -> Arc<Keeper> {
    let (folder, world) = (Folder::at(&data.path), World::new(Arc::clone(clock)));
    Keeper::open(&settings.credentials, folder, Arc::new(world), redactor).await
}

/// Neither a core file nor another process of this user is to show what is in this one's memory. Its
/// children begin with the soft limit that this leaves; each may raise it.
fn keep_memory_to_itself() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
    let quiet = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = quiet.and_then(|()| setrlimit(Resource::Core, none)) {
        tracing::warn!(%error, "core dumps can't be turned off, and would hold secrets");
    }
}

/// Runs a task until it ends or the daemon stops.
async fn until(shutdown: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = task => {}
    }
}

/// Lets the copies that are being made be finished.
async fn finish(copies: JoinHandle<()>, clock: &dyn Clock) {
    tokio::select! {
        _ = copies => {}
        () = clock.sleep(COPIES) => tracing::warn!("not every accepted job file is copied: the disk is slow"),
    }
}

/// The node's name, or the host's.
fn node_name(settings: &Settings) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    settings.node.name.clone().unwrap_or_else(host)
}

/// Where the heartbeat goes, and how often.
fn heart(
    settings: &Settings,
    keeper: &Arc<Keeper>,
    clock: &Arc<dyn Clock>,
) -> Option<(Post, Duration)> {
    let given = settings.heartbeat.as_ref()?;
    let (keeper, clock) = (Arc::clone(keeper), Arc::clone(clock));
    Some((Post::to(&given.url, given.credential.clone(), keeper, clock)?, given.every))
}

async fn register(settings: &Settings, store: &dyn Store, clock: &dyn Clock) -> Result<NodeId> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let node = NewNode {
        name: node_name(settings),
        boot: boot.trim().to_owned(),
        pid: std::process::id(),
        started_at: clock.now(),
    };
    Ok(store.register(node).await?)
}

fn greet(settings: &Settings, catalog: &Catalog, address: Option<SocketAddr>) {
    tracing::info!(
        jobs = catalog.jobs.len(),
        from = %settings.jobs_dir.display(),
        data = %settings.data_dir.display(),
        page = %format_args!("http://{}/", address.unwrap_or(settings.listen)),
        "jada-agent {} is up", env!("CARGO_PKG_VERSION")
    );
    tell_bad_files(catalog);
    if let Some(trouble) = &catalog.trouble {
        tracing::error!("{}", trouble.message);
    }
}

fn seats(settings: &Settings) -> Seats {
    let pools = settings.limits.pools.iter();
    Seats {
        running: settings.limits.running as usize,
        pools: pools.map(|(name, seats)| (Arc::from(name.as_str()), *seats as usize)).collect(),
    }
}

/// What retention keeps, asked anew for each sweep.
fn keeping(settings: &Arc<Settings>, engine: &Handle) -> impl Fn() -> Keep + use<> {
    let (settings, engine) = (Arc::clone(settings), engine.clone());
    move || keep(&settings, &engine.view().catalog)
}

/// What retention keeps: never less than what a rule looks back on.
fn keep(settings: &Settings, catalog: &Catalog) -> Keep {
    let jobs = catalog.jobs.values();
    let checks = jobs.clone().flat_map(|job| job.work.checks());
    let checks = checks.filter_map(|(_, own)| alert::window(&own?.rule()));
    let longest = jobs.filter_map(|job| alert::window(&job.policy.alert));
    let longest = longest.chain(checks).max().unwrap_or_default();
    Keep {
        age: settings.retention.age,
        per_job: settings.retention.per_job,
        observations: settings.retention.observations.max(longest.saturating_mul(2)),
        looks: alert::READ_LEAST,
        bytes: None,
        batch: 500,
    }
}

fn loader((settings, kept): (Arc<Settings>, Kept), clock: Arc<dyn Clock>) -> Load {
    Arc::new(move |before| {
        let now = clock.now();
        if before.is_unread() {
            return spec::start(&settings, now, &kept);
        }
        spec::load(&settings, now, Some(before))
    })
}
