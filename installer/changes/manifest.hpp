// What the installer has changed on this host, in /var/lib/pve-gpu-hook: manifest.json, and in backups/ the
// texts that files had before and got from us. Written before the first change is made.
#pragma once

#include "changes/attachment.hpp"
#include "changes/change.hpp"
#include "host/prepared.hpp"
#include "incus/attached_instance.hpp"
#include "machine/system.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pvegpu {

struct ManifestEntry {
    Change::Kind kind = Change::Kind::file; // or link
    std::string path;
    std::optional<std::string> original;  // nothing: it was not there
    std::optional<std::string> installed; // what we made of it
    // While it is being changed: what we had made of it before, for a run that is killed leaves either.
    std::optional<std::string> earlier = {};

    bool is_ours(const std::optional<std::string>& text) const; // whether what is there was made by us
    bool leads_to_hook() const; // a snippet, not the link that enables the boot unit
    bool operator==(const ManifestEntry&) const = default;
};

struct Manifest {
    std::vector<ManifestEntry> entries;
    std::vector<Attachment> attachments;
    std::vector<std::string> directories; // that we made, the outer ones first
    Prepared prepared = {};
    std::vector<AttachedInstance> instances = {}; // of Incus or LXD

    bool empty() const { return entries.empty() && attachments.empty() && instances.empty(); }
    const ManifestEntry* find(std::string_view path) const; // nullptr if there is none
    const Attachment* attachment(unsigned vmid) const;
    const AttachedInstance* find(const InstanceName& name) const;
    bool operator==(const Manifest&) const = default;
};

// An empty one if there is none. Throws Error for a damaged one.
Manifest read_manifest(const SysReader& reader);

// Backups first; those that only the replaced manifest has are removed, and so is everything for an empty
// one.
void write_manifest(System& system, const Manifest& manifest, const Manifest& replaced);

// The manifest once these changes are made. What a file was before our first change stays its original,
// unless somebody else has changed it since.
Manifest with_changes(Manifest manifest, const std::vector<Change>& changes,
                      const std::vector<Attachment>& attachments,
                      const std::vector<AttachedInstance>& instances = {});

} // namespace pvegpu
