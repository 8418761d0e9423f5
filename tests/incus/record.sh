# What the daemon answers to the calls of a client, each in a file of its own as tests/incus/capture cuts them out: the request, and the
# answer with those of its headers that say something.
# machine: two_arcs
# incus: yes
# kernels: 6.12
# timeout: 900
. /lab/incus.sh
socket=/var/lib/incus/unix.socket
if [ "$daemon" = lxd ]; then
    systemctl stop incus.socket incus.service
    socket=/var/lib/lxd/unix.socket
fi
files=/lab/run/answers
mkdir -p "$files"
number=10

# ask NAME METHOD PATH [JSON [HEADER]]   the answer's body is in last_body
ask() {
    local name=$1 method=$2 path=$3 body=${4:-} header=${5:-}
    number=$((number + 1))
    curl -sS --unix-socket "$socket" -D "$files/head" -o "$files/body" -X "$method" "http://daemon$path" ${body:+--data-binary "$body"} \
        ${header:+-H "$header"} || say "curl ends with $?"
    last_body=$files/body
    {
        echo "$method $path"
        [ -z "$header" ] || echo "$header"
        [ -z "$body" ] || echo "$body"
        echo
        tr -d '\r' <"$files/head" | grep -iE '^(http/|etag|location|content-type)'
        echo
        cat "$files/body"
    } | sed 's/-----BEGIN CERTIFICATE-----[^"]*/(a certificate)/; s/"certificate_fingerprint":"[^"]*"/"certificate_fingerprint":""/' >"$files/answer"
    echo "LAB-FILE $number-$name"
    cat "$files/answer"
    echo
    echo "LAB-END"
}
# ask_for NAME METHOD PATH [JSON [HEADER]]   and what its operation comes to
ask_for() {
    ask "$@"
    operation=$(text_of operation <"$last_body")
    [ -z "$operation" ] || ask "$1-wait" GET "$operation/wait?timeout=60"
}
etag() { sed -n 's/^[Ee][Tt]ag: //p' "$files/head" | tr -d '\r'; }
# A value of PUT is what a GET gave, with other devices; all that is left out would be emptied.
with_devices() { sed 's/.*"metadata":{/{/; s/}$//; s/"devices":{.*},"ephemeral"/"devices":{'"$1"'},"ephemeral"/' "$last_body" | tr -d '\n'; }

vm_config='"config": {"limits.memory": "64MiB", "security.secureboot": "false", "boot.autostart": "false", "raw.qemu": "-bios /lab/firmware.bin"}'
root='"root": {"type": "disk", "pool": "default", "path": "/", "size": "4MiB"}'
root_as_read='"root":{"path":"\/","pool":"default","size":"4MiB","type":"disk"}'
gpu='"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:03:00.0"}'
audio='"audio": {"type": "pci", "address": "04:00.0"}'

ask server GET /1.0
ask_for pool POST /1.0/storage-pools '{"name": "default", "driver": "dir"}'
ask project-new POST /1.0/projects '{"name": "lab", "config": {"features.images": "false", "features.profiles": "false", "features.storage.volumes": "false"}}'
ask profile-new POST /1.0/profiles '{"name": "second-card", "devices": {"card": {"type": "gpu", "gputype": "physical", "pci": "0000:08:00.0"}}}'
ask projects GET '/1.0/projects?recursion=1'
ask_for create POST /1.0/instances "{\"name\": \"web\", \"type\": \"virtual-machine\", \"source\": {\"type\": \"none\"}, $vm_config, \"devices\": {$root, $gpu, $audio}}"
ask_for create-in-project POST '/1.0/instances?project=lab' "{\"name\": \"db\", \"type\": \"virtual-machine\", \"source\": {\"type\": \"none\"}, $vm_config, \"profiles\": [\"default\", \"second-card\"], \"devices\": {$root}}"
ask instances GET '/1.0/instances?recursion=1&all-projects=true'
ask names GET '/1.0/instances?all-projects=true'
ask instances-filtered GET '/1.0/instances?recursion=1&all-projects=true&filter=type+eq+virtual-machine'
ask instance-of-a-project GET '/1.0/instances/db?project=lab'
ask no-such-instance GET '/1.0/instances/db'
ask no-such-project GET '/1.0/instances/db?project=none'
ask gpu-and-pci GET /1.0/resources

ask stopped GET '/1.0/instances/web?project=default'
tag=$(etag)
devices_away=$(with_devices "$root_as_read")
ask_for put-devices-away PUT '/1.0/instances/web?project=default' "$devices_away" "If-Match: $tag"
ask put-conflict PUT '/1.0/instances/web?project=default' "$devices_away" "If-Match: $tag"
ask without-devices GET '/1.0/instances/web?project=default'
tag=$(etag)
ask patch-devices-back PATCH '/1.0/instances/web?project=default' "{\"devices\": {$gpu, $audio}}" "If-Match: $tag"
ask patch-conflict PATCH '/1.0/instances/web?project=default' "{\"devices\": {$gpu, $audio}}" "If-Match: $tag"
ask patch-null PATCH '/1.0/instances/web?project=default' '{"devices": {"gpu": null}}'
ask patch-bad-address PATCH '/1.0/instances/web?project=default' '{"devices": {"gpu": {"type": "pci", "address": "3:0.0"}}}'

ask patch-device-that-is-not-there PATCH '/1.0/instances/web?project=default' '{"devices": {"usb": {"type": "pci", "address": "55:00.0"}}}'
ask_for start-without-a-device PUT '/1.0/instances/web/state?project=default' '{"action": "start"}'
ask failed-operation GET "$operation"
ask with-it GET '/1.0/instances/web?project=default'
ask_for put-it-away PUT '/1.0/instances/web?project=default' "$(with_devices "\"audio\":{\"address\":\"04:00.0\",\"type\":\"pci\"},\"gpu\":{\"gputype\":\"physical\",\"pci\":\"0000:03:00.0\",\"type\":\"gpu\"},$root_as_read")"

unbind 0000:04:00.0
lying_writes /sys/bus/pci/drivers_probe
ask_for start-vfio-does-not-bind PUT '/1.0/instances/web/state?project=default' '{"action": "start"}'
umount /sys/bus/pci/drivers_probe

ask after-a-failed-start GET '/1.0/instances/web?project=default'
ask_for start PUT '/1.0/instances/web/state?project=default' '{"action": "start"}'
ask running GET '/1.0/instances/web?project=default'
ask running-state GET '/1.0/instances/web/state?project=default'
ask_for start-again PUT '/1.0/instances/web/state?project=default' '{"action": "start"}'
ask patch-gpu-while-it-runs PATCH '/1.0/instances/web?project=default' '{"devices": {"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:08:00.0"}}}'
ask_for exec-without-agent POST '/1.0/instances/web/exec?project=default' '{"command": ["true"], "record-output": true, "wait-for-websocket": false, "interactive": false}'

ask_for create-third POST /1.0/instances "{\"name\": \"third\", \"type\": \"virtual-machine\", \"source\": {\"type\": \"none\"}, $vm_config, \"devices\": {$root, $gpu}}"
ask start-with-a-card-in-use PUT '/1.0/instances/third/state?project=default' '{"action": "start"}'
third=$(text_of operation <"$last_body")
ask start-with-a-card-in-use-wait GET "$third/wait?timeout=5"
ask start-with-a-card-in-use-operation GET "$third"
ask start-with-a-card-in-use-state GET '/1.0/instances/third/state?project=default'
ask operations GET '/1.0/operations?recursion=1&all-projects=true'
ask_for stop PUT '/1.0/instances/web/state?project=default' '{"action": "stop", "force": true}'
ask start-with-a-card-no-longer-in-use GET "$third/wait?timeout=60"
ask logs GET '/1.0/instances/third/logs?project=default'
ask logs-early GET '/1.0/instances/third/logs/qemu.early.log?project=default'
ask logs-qemu GET '/1.0/instances/third/logs/qemu.log?project=default'
ask_for stop-again PUT '/1.0/instances/web/state?project=default' '{"action": "stop", "force": true}'
ask no-such-operation GET /1.0/operations/00000000-0000-0000-0000-000000000000/wait?timeout=1

# A command inside: our guest has no agent, and a container needs none. The answers are made in one place for both.
ask_for create-container POST /1.0/instances '{"name": "box", "type": "container", "source": {"type": "none"}, "config": {"security.privileged": "true"}, "devices": {"root": {"type": "disk", "pool": "default", "path": "/"}}}'
inside=${socket%/*}/storage-pools/default/containers/box/rootfs
mkdir -p "$inside/bin" "$inside/sbin" "$inside/dev" "$inside/proc" "$inside/sys" "$inside/etc" "$inside/tmp" "$inside/run"
cp /lab/bin/busybox "$inside/bin/sh"
printf '#!/bin/sh\nwhile sleep 1000; do :; done\n' >"$inside/sbin/init"
chmod 755 "$inside/sbin/init"
ask_for start-container PUT '/1.0/instances/box/state' '{"action": "start"}'
ask_for exec POST '/1.0/instances/box/exec' '{"command": ["sh", "-c", "echo out; echo err >&2; exit 3"], "record-output": true, "wait-for-websocket": false, "interactive": false}'
cp "$last_body" "$files/exec"
ask exec-stdout GET "$(text_of 1 <"$files/exec")"
ask exec-stderr GET "$(text_of 2 <"$files/exec")"
ask exec-stdout-away DELETE "$(text_of 1 <"$files/exec")"
ask exec-stderr-away DELETE "$(text_of 2 <"$files/exec")"
ask exec-stdout-gone GET "$(text_of 1 <"$files/exec")"
ask_for exec-no-such-program POST '/1.0/instances/box/exec' '{"command": ["nvidia-smi"], "record-output": true, "wait-for-websocket": false, "interactive": false}'
ask instances-of-all-types GET '/1.0/instances?recursion=1&all-projects=true'
