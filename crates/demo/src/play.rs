//! `cargo demo play FILE`: runs a manifest on this machine, as plain processes in namespaces, the way a kubelet would.

mod act;
mod backoff;
mod changes;
mod check;
mod cluster;
mod env;
mod exec;
mod holder;
mod image;
pub mod inside;
mod instance;
mod life;
mod model;
mod place;
mod plan;
mod process;
mod programs;
mod read;
mod say;
mod services;
mod table;
mod unit;
mod volumes;
mod watch;
mod workloads;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use values::Span;

use self::{
    cluster::Cluster,
    image::Images,
    model::World,
    place::Place,
    say::Say,
    services::{Forward, Outside},
};
use crate::binaries;

pub use exec::{Args as ExecArgs, run as exec};

#[derive(clap::Args)]
pub struct Args {
    /// Manifests: Pod, Deployment, Job, and the ConfigMaps, Secrets and Services that they need
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Where everything is kept: volumes, claims, what containers said [default: a directory of its own for the first FILE]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Use the sidecar binaries of this directory instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,

    /// A port of this machine that leads to one of a pod, as `kubectl port-forward`
    #[arg(long, value_name = "[NAME/]LOCAL:PORT")]
    forward: Vec<Forward>,

    /// A host that pods look for, and where it is
    #[arg(long, value_name = "HOST:PORT=ADDR")]
    outside: Vec<Outside>,

    /// What stands for an image that is not known
    #[arg(long, value_name = "IMAGE=COMMAND")]
    image: Vec<String>,

    /// How long the second restart of a container waits; the next twice as long, up to 5m
    #[arg(long, value_name = "TIME", default_value = "10s")]
    back_off: Span,

    /// Instead of terminationGracePeriodSeconds
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,

    /// Containers speak to their files only: DIR/logs/POD/CONTAINER.log
    #[arg(long)]
    quiet: bool,

    /// Read the files, say what is wrong with them, run nothing
    #[arg(long)]
    check: bool,
}

pub async fn run(args: Args) -> Result<ExitCode, String> {
    let world = read::files(&args.files)?;
    let say = Say::new(args.quiet);
    world.notes.iter().for_each(|note| say.note(note));
    let images = Images::new(named(&args.image)?)?;
    let built = build(&args, &world, &images).await?;
    what_they_are(&world, &images, &built, &say)?;
    if args.check {
        return Ok(ExitCode::SUCCESS);
    }
    let place = Place::take(args.dir.as_deref(), &args.files[0])?;
    let ways = services::ways(&world, &args.outside, &place.dir.join("sockets"))?;
    let workloads: Vec<_> = world
        .workloads
        .iter()
        .map(|workload| (workload.kind, workload.name.clone(), Arc::new(workload.pod.clone())))
        .collect();
    let cluster = Arc::new(Cluster {
        dir: place.dir.clone(),
        say: Arc::clone(&say),
        images,
        built,
        ways,
        back_off: args.back_off.0,
        grace: args.grace.map(|Span(grace)| grace),
        world: Mutex::new(Arc::new(world)),
        pods: Mutex::default(),
        stop: tokio::sync::watch::Sender::new(false),
        addrs: AtomicU64::new(0),
        turns: AtomicUsize::new(0),
    });
    let mut tasks = JoinSet::new();
    services::serve(&cluster, &mut tasks)?;
    for forward in &args.forward {
        services::forward(&cluster, forward, &mut tasks).await?;
    }
    tasks.spawn(changes::follow(Arc::clone(&cluster), args.files));
    say.event("play", &format!("everything is in {}", place.dir.display()));
    let mut running = JoinSet::new();
    for (kind, name, pod) in workloads {
        running.spawn(workloads::run(Arc::clone(&cluster), kind, name, pod));
    }
    until_all_ended(&cluster, &mut running).await
}

/// Ctrl-C or SIGTERM ends all pods as if they were deleted; a second one kills whatever is left.
async fn until_all_ended(cluster: &Cluster, running: &mut JoinSet<Result<bool, String>>) -> Result<ExitCode, String> {
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let (mut good, mut asked, mut problem) = (true, false, None);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => break,
                Some(Ok(Ok(well))) => good &= well,
                Some(Ok(Err(words))) => {
                    // Nobody can use the others without it.
                    cluster.say.event("play", &words);
                    problem.get_or_insert(words);
                    cluster.end();
                }
                Some(Err(error)) => return Err(error.to_string()),
            },
            _ = int.recv() => if asked { return Ok(ExitCode::from(130)) } else { (asked, ()) = (true, cluster.end()) },
            _ = term.recv() => if asked { return Ok(ExitCode::from(143)) } else { (asked, ()) = (true, cluster.end()) },
        }
    }
    match problem {
        Some(problem) => Err(problem),
        // Whoever is told to end has done well by ending.
        None => Ok(if good || asked { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
}

fn named(images: &[String]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let one = |text: &String| {
        let (image, command) = text.split_once('=').ok_or_else(|| format!("--image {text}: expected IMAGE=COMMAND"))?;
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| format!("--image {text}: expected a command after the ="))?;
        Ok((image.to_owned(), words))
    };
    images.iter().map(one).collect()
}

async fn build(args: &Args, world: &World, images: &Images) -> Result<BTreeMap<String, PathBuf>, String> {
    let all = world.workloads.iter().flat_map(|workload| workload.pod.all());
    let names: BTreeSet<_> = all.filter_map(|container| images.sidecar(&container.image)).collect();
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(binaries::find(&names, args.bin_dir.as_deref()).await?.paths)
}

/// All images that nothing stands for are said at once.
fn what_they_are(world: &World, images: &Images, built: &BTreeMap<String, PathBuf>, say: &Say) -> Result<(), String> {
    let mut problems = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for container in world.workloads.iter().flat_map(|workload| workload.pod.all()) {
        match images.find(&container.image, container.command.is_some(), built) {
            Err(problem) => drop(problems.insert(problem)),
            Ok(image) if seen.insert(&container.image) => {
                say.note(&format!("image {}: {}", container.image, image.is));
            }
            Ok(_) => {}
        }
    }
    let problems: Vec<_> = problems.into_iter().collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}
