"""Goes up and down the migrations, and writes rows of any age."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder


class Chain:
    """The database at some migration of one app; ``to`` goes there and gives its models."""

    def __init__(self, app):
        self.app = app

    def to(self, name):
        executor = MigrationExecutor(connection)
        executor.migrate([(self.app, name)])
        executor.loader.build_graph()
        self.apps = executor.loader.project_state(list(executor.loader.applied_migrations)).apps
        return self

    def again(self, name):
        """Run one migration a second time, as if the first had been broken off at its end."""
        MigrationRecorder(connection).record_unapplied(self.app, name)
        return self.to(name)

    def model(self, label):
        return self.apps.get_model(label)

    def newest(self):
        leaves = MigrationExecutor(connection).loader.graph.leaf_nodes(self.app)
        return self.to(leaves[0][1])


@pytest.fixture
def people(transactional_db):
    chain = Chain("mesh")
    yield chain
    chain.newest()


@pytest.fixture
def sandboxes(transactional_db):
    chain = Chain("sandboxes")
    yield chain
    chain.newest()
