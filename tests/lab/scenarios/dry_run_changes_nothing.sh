# A dry run prints the plan and touches neither device nor file.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
# In variables: a file for the list would itself be a new file.
new_files() { find / -xdev -newer "$lab_run/host" -type f | grep -v "$lab_run/plan" | sort; }
before=$(new_files)
$hook_program --dry-run --json 101 pre-start >"$lab_run/plan"
after=$(new_files)
expect_file_says "$lab_run/plan" pve-gpu-hook/plan/1
expect_file_says "$lab_run/plan" 0000:00:1c.0
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0
expect_equal "new files" "$before" "$after"
expect_no_file /run/pve-gpu-hook
expect_host_as_before
