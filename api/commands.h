/* The program's subcommands. Each gets what follows its name and returns the exit status. */
#ifndef TIENDO_COMMANDS_H
#define TIENDO_COMMANDS_H

#include "config.h"

int command_migrate(const struct config *config, int argc, char **argv);
int command_bootstrap(const struct config *config, int argc, char **argv);
int command_account(const struct config *config, int argc, char **argv);
int command_reorganize(const struct config *config, int argc, char **argv);
int command_keys(const struct config *config, int argc, char **argv);
int command_serve(const struct config *config, int argc, char **argv);
int command_audit(const struct config *config, int argc, char **argv);
int command_check(const struct config *config, int argc, char **argv);

#endif
