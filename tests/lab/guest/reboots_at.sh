# What scenarios and their scripts at a place of qm's or qmeventd's (reboots.sh: at) both look at.
. /lab/modules.sh
lab_run=/lab/run
vm_directory=$lab_run/vm

vm_do() { printf %s "$2" >"$vm_directory/$1.in"; }
# "armed", "waits it is being backed up": what the reader that lives has written down of this QEMU
reader_note() {
    local pid note
    pid=$(cat "/run/qemu-server/$1.pid" 2>/dev/null) && note=$(cat "/run/pve-gpu-hook/events/$1" 2>/dev/null) || { echo none; return 0; }
    [ -e "/proc/$(echo "$note" | cut -d ' ' -f 3)" ] || { echo "of a reader that has ended: $note"; return 0; }
    case $note in "$pid "*) echo "$note" | cut -d ' ' -f 5- | sed 's/ *$//' ;; *) echo "of another QEMU: $note" ;; esac
}
reader_is() { case $(reader_note "$1") in "$2" | "$2 "*) return 0 ;; esac; return 1; }
request_of() {
    if [ ! -e "/run/qemu-server/$1.reboot" ]; then
        echo none
    elif grep -qs '^pve-gpu-hook ' "/run/qemu-server/$1.reboot"; then
        echo ours
    else
        echo proxmox
    fi
}
request_is() { [ "$(request_of "$1")" = "$2" ]; }
request_is_not() { ! request_is "$@"; }
ready_count() { grep -c '^vm: ready' "$vm_directory/$1.said" 2>/dev/null || :; }
# reset_or_ended VMID COUNT   the guest has begun anew since it had said so often that it is ready, or its QEMU has ended
reset_or_ended() { [ ! -e "/run/qemu-server/$1.pid" ] || [ "$(ready_count "$1")" -gt "$2" ]; }
