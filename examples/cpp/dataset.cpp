// Displacement between two GDAL datasets that exist in memory only.
//
//   c++ -std=c++17 -o dataset dataset.cpp $(pkg-config --cflags --libs shiftmap gdal)
//   ./dataset map.tif
#include "shiftmap.hpp"

#include <gdal_priv.h>

#include <cstdint>
#include <cstdio>
#include <random>

namespace {

using DatasetPtr = std::unique_ptr<GDALDataset, void (*)(GDALDataset *)>;

constexpr int SIZE = 256;

// Blurred noise; `right` moves the same picture by whole pixels.
DatasetPtr scene(int right) {
    std::mt19937 random(7);
    std::vector<float> noise((SIZE + 64) * SIZE);
    for (auto &v : noise) v = static_cast<float>(random() >> 16) / 65536.0f;
    std::vector<uint16_t> pixels(SIZE * SIZE);
    for (int y = 0; y < SIZE; y++) {
        for (int x = 0; x < SIZE; x++) {
            float sum = 0;
            for (int j = -1; j <= 1; j++)
                for (int i = -1; i <= 1; i++)
                    sum += noise[static_cast<size_t>((y + j + SIZE) % SIZE * (SIZE + 64) + x + i - right + 32)];
            pixels[static_cast<size_t>(y * SIZE + x)] = static_cast<uint16_t>(1000.0f * sum);
        }
    }
    auto *driver = GetGDALDriverManager()->GetDriverByName("MEM");
    DatasetPtr dataset(driver->Create("", SIZE, SIZE, 1, GDT_UInt16, nullptr), [](GDALDataset *d) { GDALClose(d); });
    double transform[6] = {500000, 10, 0, 4000000, 0, -10};
    dataset->SetGeoTransform(transform);
    OGRSpatialReference utm;
    utm.importFromEPSG(32612);
    dataset->SetSpatialRef(&utm);
    if (dataset->GetRasterBand(1)->RasterIO(GF_Write, 0, 0, SIZE, SIZE, pixels.data(), SIZE, SIZE, GDT_UInt16, 0, 0,
                                            nullptr) != CE_None)
        throw std::runtime_error("GDAL cannot write into memory");
    return dataset;
}

}  // namespace

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: dataset DST\n");
        return 2;
    }
    GDALAllRegister();
    auto pre = scene(0), post = scene(2);
    shiftmap::Context context;
    auto progress = [](double fraction, const char *message) { return GDALTermProgress(fraction, message, nullptr) != 0; };
    context.run(shiftmap_displacement_dataset, {"STEP=16", "OVERWRITE=YES"}, progress, static_cast<void *>(pre.get()),
                static_cast<void *>(post.get()), argv[1]);

    DatasetPtr map(GDALDataset::Open(argv[1]), [](GDALDataset *d) { GDALClose(d); });
    double mean = 0;
    map->GetRasterBand(1)->ComputeStatistics(FALSE, nullptr, nullptr, &mean, nullptr, nullptr, nullptr);
    std::printf("%s: mean %+.2f m\n", map->GetRasterBand(1)->GetDescription(), mean);
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
