//! Who a program is: the user that the manifest or the image names.

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Gid, Uid, fchown, setgroups, setresgid, setresuid},
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities,
};

use super::Who;

pub fn be(who: &Who, all_users: bool) -> Result<(), String> {
    if all_users { change(who) } else { be_called(who) }
}

/// Users have their own numbers here.
fn change(who: &Who) -> Result<(), String> {
    let say = |error: nix::Error| format!("cannot be user {}: {error}", who.user);
    let (user, group) = (Uid::from_raw(who.user), Gid::from_raw(who.group));
    let groups: Vec<_> = who.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    setgroups(&groups).map_err(say)?;
    setresgid(group, group, group).map_err(say)?;
    if who.user == 0 {
        return Ok(());
    }
    // Programs open /dev/stdout by its name, and then it has to be theirs, as container runtimes make it.
    let _ = fchown(std::io::stdout(), Some(user), Some(group));
    let _ = fchown(std::io::stderr(), Some(user), Some(group));
    let kept = who.capabilities.iter().map(|name| capability(name)).collect::<Result<Vec<_>, _>>()?;
    let failed = |error: rustix::io::Errno| format!("capabilities: {error}");
    if !kept.is_empty() {
        set_keep_capabilities(true).map_err(failed)?;
    }
    setresuid(user, user, user).map_err(say)?;
    if !kept.is_empty() {
        let all = kept.iter().copied().collect();
        let bounded = capabilities(None).map_err(failed)?.permitted & all;
        set_capabilities(None, CapabilitySets { effective: bounded, permitted: bounded, inheritable: bounded })
            .map_err(failed)?;
        for one in kept {
            configure_capability_in_ambient_set(one, true).map_err(failed)?;
        }
    }
    Ok(())
}

fn capability(name: &str) -> Result<CapabilitySet, String> {
    match name {
        "cap_kill" => Ok(CapabilitySet::KILL),
        "cap_net_bind_service" => Ok(CapabilitySet::NET_BIND_SERVICE),
        other => Err(format!("capability {other}: expected one that an image of ours has")),
    }
}

/// There is one user only, and a namespace more in which it has the number that is wanted.
fn be_called(who: &Who) -> Result<(), String> {
    if who.user == 0 && who.group == 0 {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| format!("cannot be user {}: {error}", who.user))?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{} 0 1", who.user)),
        ("gid_map", format!("{} 0 1", who.group)),
    ];
    for (name, text) in maps {
        std::fs::write(format!("/proc/self/{name}"), text)
            .map_err(|error| format!("cannot be user {}: {name}: {error}", who.user))?;
    }
    Ok(())
}
