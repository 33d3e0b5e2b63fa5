/*
 * The network cards of the configuration: driver, default route, IOMMU, PCIe, node. Without a configured card, those that
 * could be given to the appliance.
 */
#include "control/doctor.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static bool
is_intel(const struct host *host)
{
	static char text[4096];
	host_read(host, text, sizeof(text), "/proc/cpuinfo");
	return strstr(text, "GenuineIntel") != NULL;
}

static void
check_iommu(struct doctor *doctor)
{
	char path[HOST_PATH_MAX];
	unsigned groups = 0;
	struct dirent *entry;
	snprintf(path, sizeof(path), "%s/sys/kernel/iommu_groups", doctor->host->root);
	DIR *dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		groups += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	if (groups > 0)
		doctor_add(doctor, "iommu", DOCTOR_OK, false, "", "on, %u groups", groups);
	else
		doctor_add(doctor, "iommu", DOCTOR_ADVICE, false,
		    is_intel(doctor->host) ? "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' "
		                             "/etc/default/grub && update-grub && reboot"
		                           : "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&iommu=pt /' "
		                             "/etc/default/grub && update-grub && reboot",
		    "off: vfio-pci works only in its unsafe mode, in which a card may write anywhere");
}

static void
check_driver(struct doctor *doctor, const struct host_nic *nic, const char *port)
{
	char fix[HOST_PATH_MAX];
	snprintf(fix, sizeof(fix), "driverctl set-override %s vfio-pci", nic->device);
	if (nic->use == HOST_NIC_ROUTE)
		doctor_add(doctor, "card", DOCTOR_FAILING, false, "",
		    "port %s: %s (%s) holds the default route: give the port another card", port, nic->device,
		    nic->interface);
	else if (nic->use == HOST_NIC_KERNEL)
		doctor_add(doctor, "card", DOCTOR_FAILING, false, fix,
		    "port %s: %s is bound to %s; driverctl keeps its choice over boots, dpdk-devbind.py does "
		    "not",
		    port, nic->device, *nic->driver != '\0' ? nic->driver : "no driver");
	else
		doctor_add(doctor, "card", DOCTOR_OK, false, "", "port %s: %s is bound to %s", port,
		    nic->device, nic->driver);
}

static void
check_group(struct doctor *doctor, const struct host_nic *nic)
{
	if (!nic->in_group || strcmp(nic->driver, "vfio-pci") != 0)
		return;
	if (nic->group_others > 0)
		doctor_add(doctor, "iommu group", DOCTOR_FAILING, false,
		    "ls -l /sys/bus/pci/devices/*/iommu_group   # move the card to another slot, or bind the "
		    "others to "
		    "vfio-pci too",
		    "%s shares its group with %u other devices: all or none go to vfio-pci", nic->device,
		    nic->group_others);
	else
		doctor_add(
		    doctor, "iommu group", DOCTOR_OK, false, "", "%s is alone in its group", nic->device);
}

static void
check_width(struct doctor *doctor, const struct host_nic *nic)
{
	if (nic->width > 0 && nic->width < nic->width_max)
		doctor_add(doctor, "pcie", DOCTOR_ADVICE, false,
		    "lspci -vvs   # LnkSta; move the card to a wider slot", "%s has %u of its %u PCIe lanes",
		    nic->device, nic->width, nic->width_max);
}

static void
check_node(struct doctor *doctor, const struct host_nic *nic)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	unsigned apart = 0;
	for (unsigned i = 0; nic->node >= 0 && i < config->worker_cpus_len; i++) {
		const struct host_cpu *cpu = host_cpu(doctor->host, config->worker_cpus[i]);
		apart += cpu != NULL && cpu->node >= 0 && cpu->node != nic->node;
	}
	if (apart > 0)
		doctor_add(doctor, "numa", DOCTOR_ADVICE, false,
		    "leave workers.cpus empty, or name cores of the card's node",
		    "%u workers are not on node %d, where %s is", apart, nic->node, nic->device);
}

static void
offer_cards(struct doctor *doctor)
{
	for (unsigned i = 0; i < doctor->host->nics_len; i++) {
		const struct host_nic *nic = &doctor->host->nics[i];
		char fix[HOST_PATH_MAX] = "";
		if (nic->use == HOST_NIC_KERNEL)
			snprintf(fix, sizeof(fix), "driverctl set-override %s vfio-pci", nic->device);
		doctor_add(doctor, "card", DOCTOR_ADVICE, false, fix, "%s (%s, %s): %s", nic->device,
		    *nic->interface != '\0' ? nic->interface : "no interface",
		    *nic->driver != '\0' ? nic->driver : "no driver",
		    nic->use == HOST_NIC_ROUTE    ? "holds the default route, never taken"
		    : nic->use == HOST_NIC_KERNEL ? "the kernel's, could be given away"
		                                  : "ready, in no [port NAME]");
	}
}

void
doctor_cards(struct doctor *doctor, bool quick)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	unsigned cards = 0;
	for (unsigned i = 0; i < config->ports_len; i++) {
		const struct host_nic *nic = host_nic(doctor->host, config->ports[i].device);
		if (nic == NULL)
			continue;
		cards++;
		check_driver(doctor, nic, config->ports[i].name);
		check_group(doctor, nic);
		if (!quick) {
			check_width(doctor, nic);
			check_node(doctor, nic);
		}
	}
	if (cards > 0)
		check_iommu(doctor);
	else if (!quick && config->ports_len == 0)
		offer_cards(doctor);
}
