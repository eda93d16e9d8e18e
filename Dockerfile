# al_tf in a container: the labeling desk, experiments and the notebooks.
#
# On CPU:
#     docker build --tag al-tf .
#     docker run --rm -it --network host --user "$(id -u):$(id -g)" --volume "$PWD:/work" \
#         al-tf label images --classes good,defective --ledger labels.db --no-browser
#
# Notebooks (open the address that it prints; changes to them stay in the container):
#     docker run --rm -it --publish 127.0.0.1:8888:8888 --entrypoint jupyter-lab \
#         al-tf --ip 0.0.0.0 --no-browser /opt/notebooks
#
# With an NVIDIA GPU (needs the driver and the NVIDIA Container Toolkit):
#     docker build --target gpu --tag al-tf:gpu .
#     docker run --rm -it --gpus all --volume "$PWD:/work" al-tf:gpu run --dataset digits --out results
#
# The desk listens on 127.0.0.1 alone; that is why it uses the host's network. Datasets are kept where
# AL_TF_DATA_DIR points: --volume /my/data:/data --env AL_TF_DATA_DIR=/data.

ARG PYTHON_IMAGE=python:3.13-slim-bookworm
FROM ${PYTHON_IMAGE} AS base

WORKDIR /opt/al_tf
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY al_tf al_tf
# Its dependencies have their bounds in requirements.txt.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[label,notebooks,backbone]"

COPY notebooks /opt/notebooks
# Whoever --user names has no home: this one is everybody's, and so are the notebooks.
RUN mkdir --mode 1777 /home/al-tf && chmod --recursive a+rwX /opt/notebooks
ENV HOME=/home/al-tf USER=annotator TF_CPP_MIN_LOG_LEVEL=3 PYTHONUNBUFFERED=1

USER 1000
WORKDIR /work
ENTRYPOINT ["al-tf"]
CMD ["--help"]

FROM base AS gpu
USER 0
RUN pip install --no-cache-dir "tensorflow[and-cuda]>=2.18,<3"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility TF_FORCE_GPU_ALLOW_GROWTH=true
USER 1000

FROM base AS cpu
