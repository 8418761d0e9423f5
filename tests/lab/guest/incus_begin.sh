# What a machine with `# incus: yes` has done before it gets its scenario: the daemon runs, which takes it a while, and has a place for
# disks. Sourced by begin.sh.
. /lab/modules.sh
load_module kvm-amd
load_module vhost_vsock
# systemd listens, and starts the daemon for whoever asks first.
lab_socket=/var/lib/incus/unix.socket
curl -sS --unix-socket $lab_socket http://incus/1.0 >/dev/null
curl -sS --unix-socket $lab_socket http://incus/1.0/storage-pools -d '{"name": "default", "driver": "dir"}' >/dev/null
