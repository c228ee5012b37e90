//! All pods of the files, and what they share: the names that they reach, the ConfigMaps that change.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::UnixStream, sync::watch};

use super::{
    holder::Holder,
    image::Images,
    instance::Instance,
    life::{Life, Phase},
    model::{Pod, Port, Stored, World},
    plan::{Around, Plan},
    say::{Say, Words},
    services::{self, Way},
    unit::{State, Unit},
    volumes::Volumes,
};

pub struct Cluster {
    pub dir: PathBuf,
    pub say: Arc<Say>,
    pub images: Images,
    pub built: BTreeMap<String, PathBuf>,
    pub ways: Vec<Way>,
    pub back_off: Duration,
    /// Instead of what pods ask for.
    pub grace: Option<Duration>,
    pub world: Mutex<Arc<World>>,
    pub pods: Mutex<Vec<Arc<There>>>,
    pub stop: watch::Sender<bool>,
    pub addrs: AtomicU64,
    pub turns: AtomicUsize,
}

/// A pod that is there.
pub struct There {
    /// Of what it is one.
    pub workload: String,
    pub life: Arc<Life>,
    volumes: Mutex<Volumes>,
}

impl Cluster {
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&locked(&self.world))
    }

    /// Makes everything that a pod needs, starts it, and stays until it is gone.
    pub async fn run_pod(self: &Arc<Self>, workload: &str, name: &str, pod: &Arc<Pod>) -> Result<Phase, String> {
        let there = self.make(workload, name, pod).await.map_err(|problem| format!("{name}: {problem}"))?;
        locked(&self.pods).push(Arc::clone(&there));
        if *self.stop.borrow() {
            there.life.stop.send_replace(true);
        }
        let phase = {
            let mut table = tokio::task::JoinSet::new();
            table.spawn(super::table::follow(Arc::clone(&there.life), Arc::clone(&self.say)));
            let phase = there.life.lead().await;
            // What came of it is the last thing that is said.
            tokio::task::yield_now().await;
            phase
        };
        locked(&self.pods).retain(|other| !Arc::ptr_eq(other, &there));
        Ok(phase)
    }

    async fn make(&self, workload: &str, name: &str, pod: &Arc<Pod>) -> Result<Arc<There>, String> {
        let number = self.addrs.fetch_add(1, Ordering::Relaxed);
        let addr = Ipv4Addr::new(10, 88, (number / 250) as u8, (number % 250 + 2) as u8);
        let dir = self.dir.join("pods").join(name);
        for part in ["volumes", "containers"] {
            let path = dir.join(part);
            std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let instance = Instance { name: name.into(), addr, pod: Arc::clone(pod), dir };
        let world = self.world();
        let volumes = Volumes::make(&instance, &world, &self.dir.join("claims"))?;
        let ways = self.ways.iter().map(|way| (way.addr, way.port, way.socket.clone())).collect();
        let door = self.dir.join("sockets").join(format!("pod-{number}.sock"));
        let holder = Holder::start(&instance, door, ways).await?;
        let hosts = self.hosts(&instance);
        let env = services::env(&self.ways);
        let around =
            Around { instance: &instance, holder: &holder, world: &world, volumes: &volumes, hosts: &hosts, env: &env };
        let (stop, stopping) = watch::channel(false);
        let grace = self.grace.unwrap_or(pod.grace);
        let mut units = Vec::new();
        let mut problems = Vec::new();
        for container in pod.all() {
            let image = self.images.find(&container.image, container.command.is_some(), &self.built);
            match image.and_then(|image| Plan::make(container, image, &around)) {
                Err(problem) => problems.push(format!("{}: {problem}", container.name)),
                Ok(plan) => {
                    let log = self.dir.join("logs").join(name).join(format!("{}.log", container.name));
                    let who = format!("{name}/{}", container.name);
                    units.push(Arc::new(Unit {
                        words: Words::new(who.clone(), &log, &self.say)?,
                        who,
                        instance: instance.clone(),
                        plan,
                        door: holder.door.clone(),
                        say: Arc::clone(&self.say),
                        back_off: self.back_off,
                        grace,
                        state: watch::Sender::new(State::default()),
                        stopping: stopping.clone(),
                    }));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let apps = units.split_off(pod.init.len());
        let say = Arc::clone(&self.say);
        let phase = watch::Sender::new(Phase::Pending);
        let life = Arc::new(Life { instance, init: units, apps, phase, stop, grace, say, holder });
        Ok(Arc::new(There { workload: workload.into(), life, volumes: Mutex::new(volumes) }))
    }

    fn hosts(&self, instance: &Instance) -> String {
        let aliases = instance.pod.host_aliases.iter().map(|(ip, names)| format!("{ip}\t{}\n", names.join(" ")));
        let own = format!("{}\t{}\n", instance.addr, instance.name);
        let loopback = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        format!("{loopback}{own}{}{}", services::hosts(&self.ways), aliases.collect::<String>())
    }

    /// To one of the pods that a Service finds, those that are ready taking turns.
    pub async fn connect_service(&self, name: &str, port: &Port) -> Result<UnixStream, String> {
        let world = self.world();
        let service = world.services.iter().find(|service| service.name == name).ok_or("no such Service")?;
        let finds = |pod: &Pod| {
            pod.namespace == service.namespace
                && !service.selector.is_empty()
                && service.selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
        };
        let ready: Vec<_> = locked(&self.pods)
            .iter()
            .filter(|there| finds(&there.life.instance.pod) && there.life.is_ready() && !*there.life.stop.borrow())
            .cloned()
            .collect();
        let there = self.next(&ready).ok_or_else(|| format!("Service {name}: no pod of it is ready"))?;
        let instance = &there.life.instance;
        let number =
            instance.pod.port(port).ok_or_else(|| format!("Service {name}: no container has port {port:?}"))?;
        there.life.holder.door.connect(SocketAddr::from((instance.addr, number))).await
    }

    /// As `kubectl port-forward` does: to the pod's loopback.
    pub async fn connect_pod(&self, name: Option<&str>, port: u16) -> Result<UnixStream, String> {
        let named =
            |there: &&Arc<There>| name.is_none_or(|name| there.workload == name || there.life.instance.name == name);
        let found: Vec<_> = locked(&self.pods).iter().filter(named).cloned().collect();
        let found = if name.is_none() { found.into_iter().take(1).collect() } else { found };
        let there = self.next(&found).ok_or("no such pod is there")?;
        there.life.holder.door.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    fn next(&self, among: &[Arc<There>]) -> Option<Arc<There>> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        among.get(turn % among.len().max(1)).cloned()
    }

    /// New content of ConfigMaps and Secrets, brought to every volume that has some of it.
    pub fn update(&self, maps: Vec<Stored>) {
        let old = self.world();
        let changed: Vec<_> = maps
            .iter()
            .filter(|map| old.stored(map.kind, &map.name) != Some(*map))
            .map(|map| (map.kind, map.name.clone()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let new = Arc::new(World { workloads: Vec::new(), services: old.services.clone(), notes: Vec::new(), maps });
        *locked(&self.world) = Arc::clone(&new);
        for (kind, name) in &changed {
            self.say.event(name, &format!("{} changed", kind.word()));
        }
        for there in locked(&self.pods).iter() {
            let instance = &there.life.instance;
            for outcome in locked(&there.volumes).follow(&changed, instance, &new) {
                match outcome {
                    Ok(volume) => self.say.event(&instance.name, &format!("volume {volume} has the new content")),
                    Err(problem) => self.say.event(&instance.name, &problem),
                }
            }
        }
    }

    /// Ends every pod, as if somebody had deleted it.
    pub fn end(&self) {
        self.stop.send_replace(true);
        for there in locked(&self.pods).iter() {
            there.life.stop.send_replace(true);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
