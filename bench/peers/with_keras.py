"""Keras on TensorFlow as a system of the benchmark. The flag bf16 selects mixed_bfloat16."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from serve import parse_arguments, serve

workload, flags = parse_arguments()
batch, (height, width, channels) = workload["batch"], workload["image"]
if "bf16" in flags:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")

# "same" pads strided convolutions on other sides than PyTorch does; the amount of work is equal.


def conv_bn(x, filters, size, stride=1):
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def basic_block(x, filters, stride, shortcut):
    y = layers.ReLU()(conv_bn(x, filters, 3, stride))
    return layers.ReLU()(layers.Add()([conv_bn(y, filters, 3), shortcut]))


def resnet18(x):
    x = layers.ReLU()(conv_bn(x, 64, 3))
    for filters, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        x = basic_block(x, filters, stride, conv_bn(x, filters, 1, 2) if stride == 2 else x)
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def option_a(x):
    """Shortcut of every second pixel, padded with channels of zeros."""
    return ops.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (0, x.shape[3])])


def resnet20(x):
    x = layers.ReLU()(conv_bn(x, 16, 3))
    for filters in (16, 32, 64):
        for _ in range(3):
            changes = x.shape[3] != filters
            x = basic_block(x, filters, 2 if changes else 1, option_a(x) if changes else x)
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def resnet50(x):
    x = layers.ReLU()(conv_bn(x, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        for i in range(blocks):
            stride = 2 if i == 0 and filters > 64 else 1
            y = layers.ReLU()(conv_bn(x, filters, 1))
            y = layers.ReLU()(conv_bn(y, filters, 3, stride))
            shortcut = conv_bn(x, 4 * filters, 1, stride) if i == 0 else x
            x = layers.ReLU()(layers.Add()([conv_bn(y, 4 * filters, 1), shortcut]))
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def linears(x, *sizes, rate=0.0):
    x = layers.Flatten()(x)
    for size in sizes:
        x = layers.Dense(size, "relu")(x)
        if rate:
            x = layers.Dropout(rate)(x)
    return layers.Dense(10)(x)


def alexnet(x):
    x = layers.Conv2D(96, 11, 4, activation="relu")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(256, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    for filters in (384, 384, 256):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    return linears(x, 4096, 4096, rate=0.5)


def vgg11(x):
    for convolutions, filters in [(1, 32), (1, 64), (2, 128), (2, 256), (2, 256)]:
        for _ in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    return linears(x, 2048, 2048, rate=0.5)


def lenet(x):
    x = layers.Conv2D(6, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(16, 5, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    return linears(x, 120, 84)


def lesson15(x):
    x = layers.ReLU()(conv_bn(x, 16, 3))
    for filters in (32, 96, 256):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.ReLU()(conv_bn(x, filters, 3))
    return linears(layers.MaxPooling2D(3)(x))


networks = {f.__name__: f for f in (resnet18, resnet20, resnet50, alexnet, vgg11, lenet, lesson15)}
parameters = 0


def build():
    global parameters
    images = keras.Input((height, width, channels))
    logits = layers.Activation("linear", dtype="float32")(networks[workload["network"]](images))
    model = keras.Model(images, logits)
    parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return model


def noise():
    return tf.random.uniform((batch, height, width, channels)), tf.random.uniform((batch,), 0, 10, tf.int32)


def train():
    model = build()
    model.compile(
        keras.optimizers.SGD(workload["learningRate"], momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # Compiled code is slower on CPUs.
        jit_compile=False,
    )
    images, labels = noise()
    return lambda: model.train_on_batch(images, labels)


def infer():
    model = build()
    model.compile(jit_compile=False)
    images, _ = noise()
    return lambda: model.predict_on_batch(images)


def augment(image, label):
    image = tf.pad(image, [(4, 4), (4, 4), (0, 0)])
    image = tf.image.random_crop(image, (height, width, channels))
    image = tf.image.random_flip_left_right(image)
    return (tf.cast(image, tf.float32) / 255 - 0.5) / 0.5, label


def epoch():
    images = np.random.randint(0, 256, (60_000, height, width, channels), np.uint8)
    labels = np.random.randint(0, 10, 60_000)
    dataset = (
        tf.data.Dataset.from_tensor_slices((images, labels))
        .shuffle(60_000)
        .map(augment, tf.data.AUTOTUNE)
        .batch(batch)
        .prefetch(tf.data.AUTOTUNE)
    )

    def step():
        for _ in dataset:
            pass

    return step


serve(
    f"Keras {keras.__version__} on TensorFlow {tf.__version__}",
    {"train": train, "infer": infer, "epoch": epoch},
    lambda: parameters,
)
