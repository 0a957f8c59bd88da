# Mesh's server, worker and beat. BASE is any image with Python 3.11 or newer, venv and useradd.
ARG BASE=python:3.13-slim
FROM ${BASE}
# For builds without a registry: where pip finds wheels instead.
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/mesh mesh \
    && python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MESH_HOME=/var/lib/mesh \
    # Modules come from the image alone, whatever folder a program is started in.
    PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONPATH=/opt/mesh

WORKDIR /opt/mesh
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
# The pages' files belong to the image. Collecting needs settings: those of a Mesh of its own,
# whose keys must not stay behind.
RUN MESH_HOME=/tmp/build python manage.py collectstatic --noinput -v 0 \
    && mv /tmp/build/static /var/lib/mesh/static && rm -r /tmp/build \
    && chown -R mesh: /var/lib/mesh

USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "mesh.health", "8000"]
# Who stands before it is the operator's proxy, as MESH_PROXIES says: nobody else reaches the port
# (compose.yaml).
CMD ["python", "manage.py", "mesh_serve", "--host", "0.0.0.0", "--port", "8000"]
