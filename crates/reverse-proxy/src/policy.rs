//! What becomes of a request: the engine asks, the site answers.

use std::sync::Arc;

use http_proxy::{Answer, ClusterId, Exchange, Flag, Forward, Peer, PeerTls, Policy, UpstreamEvent, Verdict};
use http1::{Form, Headers, RequestHead, ResponseHead};

use htpasswd::Proof;

use crate::{
    answer,
    client::identify,
    config::{Action, Underscores},
    decide::{self, Decision, RuleValues},
    egress::Place,
    forwarded,
    later::{End, Kept},
    path::normal,
    seen::{Seen, View},
    site::{HttpRun, RouteRun, Site},
};

/// Whether an app of WSGI or CGI may take the one for the other.
fn reads_as(name: &[u8], other: &str) -> bool {
    let spelled = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.iter().copied().map(spelled).eq(other.bytes().map(spelled))
}

/// The policy of a reverse proxy.
pub struct Routing {
    pub site: Arc<Site>,
}

/// What is remembered of a request.
#[derive(Default)]
pub struct Ctx {
    http: Option<Arc<HttpRun>>,
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) kept: Kept,
    seen: Seen,
    /// Why we answered ourselves, in the letters of the access log.
    flags: &'static str,
    status: u16,
    /// Who asks expects failures in the words of gRPC.
    is_grpc: bool,
}

impl Ctx {
    fn run<'a>(&self, http: &'a HttpRun) -> &'a RouteRun {
        self.place.map_or(&http.nowhere, |(host, route)| &http.routes[host][route])
    }
}

impl Policy for Routing {
    type Ctx = Ctx;

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let Some(http) = self.site.http(&peer.listener).cloned() else {
            return Verdict::Answer(Answer::text(404, "not found\n"));
        };
        for name in &http.model.client.unwelcome {
            head.headers.remove(name);
        }
        let rule = http.model.client.underscores;
        if rule != Underscores::Pass {
            let any = head.headers.remove_where(|name| name.contains(&b'_'));
            if any && rule == Underscores::Refuse {
                return Verdict::Answer(Answer::text(400, "a header with an underscore in its name\n"));
            }
        }
        ctx.is_grpc = answer::is_grpc(head);
        let verdict = self.decide(&http, head, peer, ctx).await;
        ctx.http = Some(http);
        verdict
    }

    /// What a header rule writes or takes away is nobody else's to say, whatever an app takes for a header.
    fn on_trailers(&self, trailers: &mut Headers, ctx: &mut Ctx) {
        let Some(http) = &ctx.http else { return };
        if http.model.client.underscores != Underscores::Pass {
            trailers.remove_where(|name| name.contains(&b'_'));
        }
        trailers.remove_where(|name| http.model.client.unwelcome.iter().any(|other| reads_as(name, other)));
        let Some((host, route)) = ctx.place else { return };
        let rules = &http.model.hosts[host].routes[route].request_headers;
        trailers.remove_where(|name| forwarded::is_ours(name) || rules.iter().any(|rule| reads_as(name, &rule.name)));
    }

    fn on_response(&self, head: &mut ResponseHead, ctx: &mut Ctx) {
        let Some(http) = ctx.http.take() else { return };
        ctx.status = head.status;
        if let Some((host, route)) = ctx.place {
            answer::redirects(head, &http.model.hosts[host].routes[route].action, &ctx.seen);
        }
        if let Some(name) = &http.model.via {
            forwarded::add_via(&mut head.headers, head.version, name);
        }
        self.finish(&http, head, ctx);
        ctx.http = Some(http);
    }

    fn on_failure(&self, why: Flag, answer: &mut Answer, ctx: &mut Ctx) {
        ctx.status = why.status();
        if ctx.is_grpc {
            answer::make_grpc(answer);
        }
        if let Some(http) = ctx.http.take() {
            self.finish(&http, &mut answer.head, ctx);
            ctx.http = Some(http);
        }
    }

    fn on_done(&self, exchange: &Exchange, peer: &Peer, ctx: &Ctx) {
        let events = &self.site.events;
        let cluster = exchange.cluster.and_then(|id| self.site.clusters.get(id.0));
        for flag in exchange.flags.iter() {
            let name = cluster.map(|cluster| &*cluster.name);
            events.failed(flag, exchange.error.as_deref(), name, exchange.upstream.as_deref());
        }
        if let (Some(cluster), Some(status), Some(responded)) = (cluster, exchange.upstream_status, exchange.responded)
        {
            cluster.figures.answered(status, responded.as_secs_f64());
        }
        let http = ctx.http.as_ref().or_else(|| self.site.http(&peer.listener));
        let Some(http) = http else { return };
        let run = ctx.run(http);
        run.figures.done(exchange.status, exchange.took.as_secs_f64());
        let end = End {
            keeper: &run.keeper,
            kept: &ctx.kept,
            exchange: Some(exchange),
            status: exchange.status,
            flags: ctx.flags,
        };
        let mut line = Vec::new();
        for (writer, format) in &run.logs {
            line.clear();
            format.render(&end, &mut line);
            writer.push(&line);
        }
    }

    fn on_stream(&self, peer: &Peer) -> Option<ClusterId> {
        let name = peer.tls.as_ref().and_then(|tls: &PeerTls| tls.server_name.as_deref()).unwrap_or_default();
        let routes = self.site.streams.get(&peer.listener)?;
        let fits = |route: &crate::config::TcpRoute| {
            route.server_names.is_empty() || route.server_names.iter().any(|pattern| pattern.is_match(name))
        };
        routes.iter().find(|(route, _)| fits(route)).map(|(_, cluster)| *cluster)
    }

    fn on_stream_done(&self, exchange: &Exchange, _: &Peer) {
        let cluster = exchange.cluster.and_then(|id| self.site.clusters.get(id.0));
        for flag in exchange.flags.iter() {
            let name = cluster.map(|cluster| &*cluster.name);
            self.site.events.failed(flag, exchange.error.as_deref(), name, exchange.upstream.as_deref());
        }
    }

    fn on_open(&self, peer: &Peer) {
        self.site.events.opened(&peer.listener);
    }

    fn on_close(&self, peer: &Peer) {
        self.site.events.closed(&peer.listener);
    }

    fn on_refused(&self, listener: &str, why: &str) {
        self.site.events.refused(listener, why);
    }

    fn on_upstream(&self, cluster: &str, event: UpstreamEvent<'_>) {
        self.site.events.upstream(cluster, event);
    }
}

impl Routing {
    async fn decide(&self, http: &HttpRun, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let rules = &http.model.client;
        ctx.seen.client = identify(rules, head, peer);
        ctx.seen.identity = peer.tls.as_ref().and_then(|tls| tls.identity.clone());
        match (head.form, normal(head.path())) {
            // A tunnel to anywhere is what an open proxy is.
            (Form::Authority, _) if http.tunnels => {}
            (Form::Authority, _) => return self.refuse(http, head, peer, ctx, 405, "method not allowed\n", ""),
            // Also of `OPTIONS http://host`, whose form is another one (RFC 9112 section 3.2.4).
            _ if head.path() == "*" => ctx.seen.path = "*".into(),
            (_, Some(path)) => ctx.seen.path = path,
            (_, None) => return self.refuse(http, head, peer, ctx, 400, "bad request: the path\n", "DPE"),
        }
        let found = decide::place(http, head, peer, &mut ctx.seen);
        let (host, route) = match found {
            Decision::Route(host, route) => (host, route),
            Decision::Nowhere => return self.refuse(http, head, peer, ctx, 404, "not found\n", "NR"),
            Decision::Endless => return self.refuse(http, head, peer, ctx, 500, "rewritten without end\n", ""),
            Decision::Redirect(status, to) => return self.answer(http, head, peer, ctx, answer::redirect(status, &to)),
            Decision::Answer(action) => {
                let made = answer::of(&action, &View { head, peer, seen: &ctx.seen }, &self.site.events);
                return self.answer(http, head, peer, ctx, made);
            }
        };
        ctx.place = Some((host, route));
        let (model, run) = (&http.model.hosts[host].routes[route], &http.routes[host][route]);
        ctx.seen.route = Some(Arc::clone(&run.name));
        if let Some(address) = ctx.seen.client.address {
            let said = model.access.iter().find(|access| access.from.contains(address));
            if said.is_some_and(|access| !access.allow) {
                return self.refuse(http, head, peer, ctx, 403, "forbidden\n", "UAEX");
            }
        }
        if !model.client_names.is_empty() && !decide::is_named(&model.client_names, ctx.seen.identity.as_deref()) {
            return self.refuse(http, head, peer, ctx, 403, "forbidden: the client's certificate\n", "UAEX");
        }
        if let Some(users) = &run.users {
            let header = head.headers.get("authorization").map(<[u8]>::to_vec);
            match users.check(header.as_deref(), ctx.seen.client.address).await {
                Proof::Good(user) => ctx.seen.user = Some(user),
                Proof::Wanting => {
                    self.site.events.login_refused();
                    let realm = model.auth.as_ref().map(|auth| auth.realm.as_str()).unwrap_or_default();
                    let mut made = answer::unauthorized(realm);
                    if ctx.is_grpc {
                        answer::make_grpc(&mut made);
                    }
                    return self.answer(http, head, peer, ctx, made);
                }
                Proof::NoUsers => {
                    return self.refuse(
                        http,
                        head,
                        peer,
                        ctx,
                        403,
                        "forbidden: the file of users cannot be read\n",
                        "UAEX",
                    );
                }
                Proof::Busy | Proof::LockedOut(_) => {
                    return self.refuse(http, head, peer, ctx, 503, "too many logins at once\n", "RL");
                }
            }
        }
        match &model.action {
            Action::Forward(forward) => self.forward(http, forward, run, head, peer, ctx, (host, route)),
            action => {
                let made = answer::of(action, &View { head, peer, seen: &ctx.seen }, &self.site.events);
                self.answer(http, head, peer, ctx, made)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where all of a request comes together")]
    fn forward(
        &self,
        http: &HttpRun,
        forward: &crate::config::Forward,
        run: &RouteRun,
        head: &mut RequestHead,
        peer: &Peer,
        ctx: &mut Ctx,
        place: (usize, usize),
    ) -> Verdict {
        let Some(cluster) = decide::share(run) else {
            return self.refuse(http, head, peer, ctx, 503, "no cluster\n", "NC");
        };
        let known = &self.site.clusters[cluster.0];
        ctx.seen.cluster = Some(Arc::clone(&known.name));
        ctx.seen.authority = Some(Arc::clone(&known.authority));
        let to = match known.usual_port {
            None => None,
            // TLS of our own would be no tunnel, and a request without it is not what was asked for.
            Some(_) if head.form == (Form::Absolute { https: true }) && !known.tls => {
                return self.refuse(http, head, peer, ctx, 400, "an https URL needs a tunnel (CONNECT)\n", "DPE");
            }
            Some(port) => match Place::of(head, port) {
                Some(place) => Some((place.host, place.port)),
                None => return self.refuse(http, head, peer, ctx, 400, "bad request: the host\n", "DPE"),
            },
        };
        let model = &http.model.hosts[place.0].routes[place.1];
        // All values are those of the request as it came: no rule sees what another has changed.
        let view = View { head, peer, seen: &ctx.seen };
        let values = RuleValues::of(&model.request_headers, &view);
        let target = decide::target(&forward.path, &model.when.path, &view);
        let new_host = decide::host(&forward.host, &known.authority, &view);
        ctx.kept = run.keeper.keep(&view);
        forwarded::apply(&http.model.client, head, peer, &ctx.seen);
        for (rule, value) in model.request_headers.iter().zip(values.iter()) {
            decide::change(&mut head.headers, &rule.name, &rule.change, value);
        }
        if head.form != Form::Authority {
            target.into_iter().for_each(|target| head.set_target(&target));
            new_host.into_iter().for_each(|host| head.set_host(&host));
        }
        if to.is_some() || matches!(head.form, Form::Absolute { .. }) {
            // It was meant for a proxy, and this is the last one.
            head.headers.remove("proxy-authorization");
        }
        if let Some(name) = &http.model.via {
            forwarded::add_via(&mut head.headers, head.version, name);
        }
        let settings = Arc::clone(&run.settings);
        Verdict::Forward(Forward { cluster, settings, to, hash: None })
    }

    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn refuse(
        &self,
        http: &HttpRun,
        head: &RequestHead,
        peer: &Peer,
        ctx: &mut Ctx,
        status: u16,
        text: &str,
        flags: &'static str,
    ) -> Verdict {
        ctx.flags = flags;
        let mut answer = Answer::text(status, text);
        if ctx.is_grpc {
            answer::make_grpc(&mut answer);
        }
        self.answer(http, head, peer, ctx, answer)
    }

    fn answer(&self, http: &HttpRun, head: &RequestHead, peer: &Peer, ctx: &mut Ctx, mut answer: Answer) -> Verdict {
        let run = ctx.run(http);
        ctx.kept = run.keeper.keep(&View { head, peer, seen: &ctx.seen });
        ctx.status = answer.head.status;
        self.finish(http, &mut answer.head, ctx);
        Verdict::Answer(answer)
    }

    /// What the route says of every response.
    fn finish(&self, http: &HttpRun, head: &mut ResponseHead, ctx: &mut Ctx) {
        let run = ctx.run(http);
        run.keeper.keep_response(&head.headers, &mut ctx.kept);
        let end = End { keeper: &run.keeper, kept: &ctx.kept, exchange: None, status: ctx.status, flags: ctx.flags };
        answer::headers(head, &run.response, &end);
        if let (Some(server), true) =
            (&http.model.server_header, ctx.place.is_none() || !head.headers.contains("server"))
        {
            head.headers.set("Server", server);
        }
    }
}
