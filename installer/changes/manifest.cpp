#include "changes/manifest.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "host/host_files.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// Files of the host need not be UTF-8, so their texts are files too and not part of the JSON.
std::string backup(const std::string& path, std::string_view which)
{
    return std::string(paths::install_backups) + path + "." + std::string(which);
}

std::optional<std::string> text_or_nothing(const Json& json)
{
    return json.is_string() ? std::optional(json.get<std::string>()) : std::nullopt;
}

Json entry_json(const ManifestEntry& entry)
{
    const bool link = entry.kind == Change::Kind::link;
    const auto shown = [&](const std::optional<std::string>& text) {
        return link ? or_null(text) : Json(text.has_value());
    };
    return {{"kind", link ? "link" : "file"},
            {"path", entry.path},
            {"original", shown(entry.original)},
            {"installed", shown(entry.installed)},
            {"earlier", shown(entry.earlier)}};
}

std::optional<std::string> backup_text(const SysReader& reader, const Json& entry, const char* which)
{
    if (!entry.at(which).get<bool>()) return std::nullopt;
    const auto path = backup(entry.at("path").get<std::string>(), which);
    auto text = reader.read(path);
    if (!text)
        throw Error(ErrorKind::failed, {"is missing, so this file cannot be undone", "restore it"}, path);
    return text;
}

ManifestEntry read_entry(const SysReader& reader, const Json& json)
{
    const auto path = json.at("path").get<std::string>();
    const bool link = json.at("kind") == "link";
    const auto text = [&](const char* which) {
        return link ? text_or_nothing(json.at(which)) : backup_text(reader, json, which);
    };
    return {link ? Change::Kind::link : Change::Kind::file, path, text("original"), text("installed"),
            json.contains("earlier") ? text("earlier") : std::nullopt};
}

Attachment read_attachment(const Json& json)
{
    Attachment guest{whole_number<unsigned>(json.at("vmid")).value(),
                     json.at("volume").get<std::string>(),
                     text_in(json, "old_volume"),
                     {},
                     {},
                     {}};
    if (json.contains("devices")) guest.devices = json.at("devices").get<std::vector<std::string>>();
    if (json.contains("owners"))
        for (const auto& [path, gpu] : json.at("owners").items())
            guest.owners[path] = parse_pci_address(gpu.get<std::string>()).value();
    if (json.contains("lines")) guest.lines = json.at("lines").get<std::vector<std::string>>();
    return guest;
}

Manifest read_json(const SysReader& reader, const Json& json)
{
    Manifest manifest;
    for (const auto& entry : json.at("changes")) manifest.entries.push_back(read_entry(reader, entry));
    for (const auto& guest : json.at("guests")) manifest.attachments.push_back(read_attachment(guest));
    manifest.directories = json.at("directories").get<std::vector<std::string>>();
    manifest.prepared = parse_prepared(json);
    if (json.contains("instances"))
        for (const auto& one : json.at("instances")) manifest.instances.push_back(parse_attached(one));
    return manifest;
}

std::string print_manifest(const Manifest& manifest)
{
    Json json{{"schema", "pve-gpu-hook/manifest/1"}, {"changes", Json::array()}, {"guests", Json::array()}};
    for (const auto& entry : manifest.entries) json["changes"].push_back(entry_json(entry));
    for (const auto& [vmid, volume, old, devices, lines, owners] : manifest.attachments) {
        Json guest{{"vmid", vmid}, {"volume", volume}, {"old_volume", or_null(old)}};
        if (!devices.empty()) guest["devices"] = devices;
        if (!lines.empty()) guest["lines"] = lines;
        for (const auto& [path, gpu] : owners) guest["owners"][path] = to_string(gpu);
        json["guests"].push_back(std::move(guest));
    }
    json["directories"] = manifest.directories;
    for (const auto& one : manifest.instances) json["instances"].push_back(attached_json(one));
    if (manifest.prepared != Prepared{}) json["prepared"] = prepared_json(manifest.prepared);
    return print(json);
}

// backups/etc/modprobe.d/... with the directories around it.
void remove_backup(System& system, const std::string& path)
{
    system.remove_file(path);
    for (auto end = path.rfind('/'); end > paths::install_backups.size(); end = path.rfind('/', end - 1))
        system.remove_empty_directory(path.substr(0, end));
}

void remove_backups(System& system, const Manifest& replaced, const Manifest& kept)
{
    for (const auto& entry : replaced.entries) {
        const auto* known = kept.find(entry.path);
        for (const auto* which : {"original", "installed"})
            if (known == nullptr) remove_backup(system, backup(entry.path, which));
        const bool was_a_file = entry.earlier && entry.kind == Change::Kind::file;
        if (was_a_file && (known == nullptr || !known->earlier))
            remove_backup(system, backup(entry.path, "earlier"));
    }
}

void remove_the_rest(System& system)
{
    for (const auto file : {paths::install_manifest, paths::install_log})
        system.remove_file(std::string(file));
    for (const auto directory : {paths::install_backups, paths::chained_hooks, paths::install_state})
        system.remove_empty_directory(std::string(directory));
}

void save_texts(System& system, const ManifestEntry& entry)
{
    if (entry.kind != Change::Kind::file) return;
    if (entry.original) system.replace_file(backup(entry.path, "original"), *entry.original);
    if (entry.installed) system.replace_file(backup(entry.path, "installed"), *entry.installed);
    if (entry.earlier) system.replace_file(backup(entry.path, "earlier"), *entry.earlier);
}

// What the file would be without us: of one that the administrator has changed around our block, without
// that.
std::optional<std::string> original_of(const Change& change)
{
    if (change.path != paths::initramfs_modules || !change.before) return change.before;
    return without_initramfs_block(*change.before);
}

void note_change(Manifest& manifest, const Change& change)
{
    auto* const known = find_by(manifest.entries, change.path, &ManifestEntry::path);
    if (known == nullptr) {
        manifest.entries.push_back({change.kind, change.path, original_of(change), change.after, {}});
        return;
    }
    if (!known->is_ours(change.before)) known->original = original_of(change);
    known->installed = change.after;
    known->earlier.reset();
}

// What a VM had before our first change stays that.
void add_instance(Manifest& manifest, const AttachedInstance& now)
{
    auto* const known = find_by(manifest.instances, now.name, &AttachedInstance::name);
    if (known == nullptr) {
        manifest.instances.push_back(now);
        return;
    }
    for (const auto& [name, options] : now.before)
        if (!known->given.contains(name)) known->before[name] = options;
    for (const auto& [name, options] : now.given) known->given[name] = options;
    if (now.set_autostart && !known->set_autostart) known->autostart = now.autostart;
    known->set_autostart = known->set_autostart || now.set_autostart;
}

} // namespace

bool ManifestEntry::is_ours(const std::optional<std::string>& text) const
{
    return text == installed || (earlier && text == earlier);
}

bool ManifestEntry::leads_to_hook() const
{
    return kind == Change::Kind::link && installed == paths::hook_program;
}

const ManifestEntry* Manifest::find(std::string_view path) const
{
    return find_by(entries, path, &ManifestEntry::path);
}

const Attachment* Manifest::attachment(unsigned vmid) const
{
    return find_by(attachments, vmid, &Attachment::vmid);
}

const AttachedInstance* Manifest::find(const InstanceName& name) const
{
    return find_by(instances, name, &AttachedInstance::name);
}

Manifest read_manifest(const SysReader& reader)
{
    const std::string path(paths::install_manifest);
    const auto text = reader.read(path);
    if (!text) return {};
    try {
        return read_json(reader, Json::parse(*text));
    } catch (const Error&) {
        throw;
    } catch (const std::exception&) { // of nlohmann::json or std::optional
        throw Error(ErrorKind::failed,
                    {"is damaged, so what was installed is not known", "restore it, or move it away"}, path);
    }
}

void write_manifest(System& system, const Manifest& manifest, const Manifest& replaced)
{
    for (const auto& entry : manifest.entries) save_texts(system, entry);
    if (!manifest.empty())
        system.replace_file(std::string(paths::install_manifest), print_manifest(manifest));
    remove_backups(system, replaced, manifest);
    if (manifest.empty()) remove_the_rest(system);
}

Manifest with_changes(Manifest manifest, const std::vector<Change>& changes,
                      const std::vector<Attachment>& attachments,
                      const std::vector<AttachedInstance>& instances)
{
    for (const auto& change : changes)
        if (change.is_in_file_system() && !change.of_a_guest) note_change(manifest, change);
    for (const auto& guest : attachments) {
        std::erase_if(manifest.attachments, [&](const auto& known) { return known.vmid == guest.vmid; });
        manifest.attachments.push_back(guest);
    }
    for (const auto& one : instances) add_instance(manifest, one);
    return manifest;
}

} // namespace pvegpu
