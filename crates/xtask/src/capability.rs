//! File capabilities as the kernel stores them: the value of the extended attribute `security.capability`.

/// In the order of the kernel's numbers (linux/capability.h).
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// VFS_CAP_REVISION_2, without VFS_CAP_FLAGS_EFFECTIVE: with the effective bit, exec itself fails in a container that
/// drops the capability. Permitted only (`=p`), the program starts everywhere and raises what it was really given.
const REVISION_2: u32 = 0x0200_0000;

pub fn bit(name: &str) -> Result<u32, String> {
    let found = (0u32..).zip(NAMES).find(|(_, known)| *known == name);
    found.map(|(bit, _)| bit).ok_or_else(|| {
        format!("capabilities \"{name}\": expected a name of capabilities(7) in small letters, such as cap_kill")
    })
}

/// `struct vfs_cap_data`: the magic number, then permitted and inheritable for bits 0-31, then for bits 32-63.
pub fn permitted(names: &[String]) -> Result<Vec<u8>, String> {
    let mut permitted = 0u64;
    for name in names {
        permitted |= 1 << bit(name)?;
    }
    let [low, high] = [permitted & 0xffff_ffff, permitted >> 32];
    let mut value = REVISION_2.to_le_bytes().to_vec();
    for half in [low, high] {
        let half = half as u32;
        value.extend(half.to_le_bytes());
        value.extend(0u32.to_le_bytes());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_what_setcap_writes() {
        // setcap cap_net_bind_service,cap_kill=p FILE; getfattr -e hex -n security.capability FILE
        let value = permitted(&["cap_net_bind_service".into(), "cap_kill".into()]).expect("both are known");
        assert_eq!(value, [0, 0, 0, 2, 0x20, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_high_bit_lands_in_the_second_half() {
        let value = permitted(&["cap_bpf".into()]).expect("it is known");
        assert_eq!(value[4..8], [0; 4]);
        assert_eq!(value[12..16], [0x80, 0, 0, 0]);
    }
}
