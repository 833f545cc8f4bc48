// What GDAL wants in C++: subclasses of its dataset and raster band that forward to the functions of a table, and the
// driver object. Everything that knows about displacement is on the other side of the table (entry.rs).

#include <dlfcn.h>
#if defined(__GLIBC__) || defined(__APPLE__)
#include <execinfo.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cpl_string.h"
#include "cpl_vsi.h"
#include "gdal_pam.h"
#include "gdal_priv.h"
#include "ogr_spatialref.h"

#ifndef BANDMAP_TYPE
#define BANDMAP_TYPE int *
#endif

extern "C"
{
    // The grid of one level: 0 is the product, 1 and more its overviews.
    struct ShiftmapGrid
    {
        int32_t width, height;
        int32_t block_width, block_height;
        // Overviews of level 0.
        int32_t overviews;
        int32_t has_transform;
        double transform[6];
    };

    using ShiftmapAdd = void (*)(void *user, const char *key, const char *value);

    // Functions that can fail return a message, to be given back to free_text, or NULL.
    struct ShiftmapTable
    {
        char *(*open)(const char *name, const char *text, const char *const *options, void **handle);
        void (*close)(void *handle);
        void (*grid)(const void *handle, int32_t level, ShiftmapGrid *grid);
        // Band 0: the dataset's metadata; -1: those of the tile cache; -2: the CRS as key WKT; else description, unit,
        // and items of the band.
        void (*texts)(const void *handle, int32_t band, ShiftmapAdd add, void *user);
        // Whether nothing will be added to the dataset's metadata any more.
        int32_t (*complete)(const void *handle);
        char *(*read_block)(void *handle, int32_t level, int32_t band, int32_t x, int32_t y, float *values);
        // How many rows from `y` on are best read at once.
        int32_t (*rows_at_once)(const void *handle, int32_t level, int32_t x, int32_t y, int32_t width);
        char *(*prefetch)(void *handle, int32_t level, int32_t x, int32_t y, int32_t width, int32_t height);
        void (*free_text)(char *text);
        const char *option_list;
        const char *version;
    };

    struct ShiftmapCaller
    {
        // The library that called, and the GDAL library that this one is linked to; empty when unknown.
        char path[1024];
        char own[1024];
        // The caller's own GDALVersionInfo("RELEASE_NAME"), empty unless it is a GDAL library.
        char release[64];
        // Its CPLError.
        void *error;
    };
}

namespace
{
ShiftmapTable table;

// Reports the message of a failed call; CE_None when there is none.
CPLErr Report(char *text)
{
    if (text == nullptr)
        return CE_None;
    CPLError(CE_Failure, CPLE_AppDefined, "SHIFTMAP: %s", text);
    table.free_text(text);
    return CE_Failure;
}

void AddTo(void *list, const char *key, const char *value)
{
    static_cast<CPLStringList *>(list)->SetNameValue(key, value);
}

class Dataset;

class Band final : public GDALPamRasterBand
{
  public:
    Band(Dataset *owner, int number);

    double GetNoDataValue(int *success) override;
    const char *GetUnitType() override;
    int GetOverviewCount() override;
    GDALRasterBand *GetOverview(int index) override;

  protected:
    CPLErr IReadBlock(int x, int y, void *values) override;
    CPLErr IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *data, int bufferWidth,
                     int bufferHeight, GDALDataType type, GSpacing pixelSpace, GSpacing lineSpace,
                     GDALRasterIOExtraArg *extra) override;

  private:
    std::string m_unit;
};

class Dataset final : public GDALPamDataset
{
  public:
    // Level 0 owns the handle.
    Dataset(void *handle, int level);
    ~Dataset() override;

#if GDAL_VERSION_NUM >= 3120000
    CPLErr GetGeoTransform(GDALGeoTransform &transform) const override;
#else
    CPLErr GetGeoTransform(double *transform) override;
#endif
    const OGRSpatialReference *GetSpatialRef() const override;
    char **GetMetadataDomainList() override;
    char **GetMetadata(const char *domain) override;
    const char *GetMetadataItem(const char *name, const char *domain) override;

    // Statistics and the like go to a file beside the job file, nowhere for a connection string.
    void UsePam(const char *file);

    Dataset *Overview(int index) const
    {
        const bool known = !m_hidden && index >= 0 && index < static_cast<int>(m_overviews.size());
        return known ? m_overviews[index].get() : nullptr;
    }
    int OverviewCount() const
    {
        return m_hidden ? 0 : static_cast<int>(m_overviews.size());
    }

    void *const m_handle;
    const int m_level;
    ShiftmapGrid m_grid{};

    // Calls `read(y, height, extra)` for strips of a window, whose tiles are computed in parallel before.
    template <typename Read>
    CPLErr InStrips(int x, int y, int width, int height, bool whole, GDALRasterIOExtraArg *extra, Read read);

  protected:
    CPLErr IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *data, int bufferWidth,
                     int bufferHeight, GDALDataType type, int bandCount, BANDMAP_TYPE bands, GSpacing pixelSpace,
                     GSpacing lineSpace, GSpacing bandSpace, GDALRasterIOExtraArg *extra) override;
    CPLErr IBuildOverviews(const char *resampling, int count, const int *factors, int bandCount, const int *bands,
                           GDALProgressFunc progress, void *data, CSLConstList options) override;

  private:
    void RefreshMetadata();

    std::vector<std::unique_ptr<Dataset>> m_overviews;
    OGRSpatialReference m_srs;
    CPLStringList m_cache;
    bool m_complete = false;
    // Computed overviews are not there while files of overviews are built.
    bool m_hidden = false;
};

// Whether GDAL would serve the request from an overview.
bool FromOverview(GDALRasterBand *band, int x, int y, int width, int height, int bufferWidth, int bufferHeight,
                  GDALRasterIOExtraArg *extra)
{
    if ((bufferWidth >= width && bufferHeight >= height) || band->GetOverviewCount() == 0)
        return false;
    GDALRasterIOExtraArg copy = *extra;
    return GDALBandGetBestOverviewLevel2(band, x, y, width, height, bufferWidth, bufferHeight, &copy) >= 0;
}

// ---------------------------------------------------------------------------------------------------------- Dataset

Dataset::Dataset(void *handle, int level) : m_handle(handle), m_level(level)
{
    table.grid(handle, level, &m_grid);
    nRasterXSize = m_grid.width;
    nRasterYSize = m_grid.height;
    CPLStringList crs;
    table.texts(handle, -2, AddTo, &crs);
    if (const char *wkt = crs.FetchNameValue("WKT"))
    {
        m_srs.SetFromUserInput(wkt);
        m_srs.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    }
    for (int i = 1; i <= 6; ++i)
        SetBand(i, new Band(this, i));
    // One computation gives all bands: readers should ask for them together. Set below PAM, which would save it.
    GDALDataset::SetMetadataItem("INTERLEAVE", "PIXEL", "IMAGE_STRUCTURE");
    if (level == 0)
    {
        for (int i = 1; i <= m_grid.overviews; ++i)
            m_overviews.push_back(std::make_unique<Dataset>(handle, i));
        RefreshMetadata();
    }
    nPamFlags |= GPF_NOSAVE;
}

Dataset::~Dataset()
{
    GDALPamDataset::FlushCache(true);
    if (m_level == 0)
    {
        m_overviews.clear();
        table.close(m_handle);
    }
}

void Dataset::UsePam(const char *file)
{
    nPamFlags &= ~GPF_NOSAVE;
    SetDescription(file);
    TryLoadXML();
    oOvManager.Initialize(this, file);
}

#if GDAL_VERSION_NUM >= 3120000
CPLErr Dataset::GetGeoTransform(GDALGeoTransform &transform) const
{
    if (!m_grid.has_transform)
        return GDALPamDataset::GetGeoTransform(transform);
    transform = GDALGeoTransform(m_grid.transform);
    return CE_None;
}
#else
CPLErr Dataset::GetGeoTransform(double *transform)
{
    if (!m_grid.has_transform)
        return GDALPamDataset::GetGeoTransform(transform);
    std::copy_n(m_grid.transform, 6, transform);
    return CE_None;
}
#endif

const OGRSpatialReference *Dataset::GetSpatialRef() const
{
    return m_srs.IsEmpty() ? GDALPamDataset::GetSpatialRef() : &m_srs;
}

void Dataset::RefreshMetadata()
{
    if (m_complete || m_level > 0)
        return;
    m_complete = table.complete(m_handle) != 0;
    CPLStringList items;
    table.texts(m_handle, 0, AddTo, &items);
    GDALDataset::SetMetadata(items.List(), "SHIFTMAP");
}

constexpr const char *CACHE_DOMAIN = "SHIFTMAP_CACHE";

char **Dataset::GetMetadataDomainList()
{
    return BuildMetadataDomainList(GDALPamDataset::GetMetadataDomainList(), TRUE, CACHE_DOMAIN, nullptr);
}

char **Dataset::GetMetadata(const char *domain)
{
    if (domain != nullptr && EQUAL(domain, CACHE_DOMAIN))
    {
        m_cache.Clear();
        table.texts(m_handle, -1, AddTo, &m_cache);
        return m_cache.List();
    }
    if (domain != nullptr && EQUAL(domain, "SHIFTMAP"))
        RefreshMetadata();
    return GDALPamDataset::GetMetadata(domain);
}

const char *Dataset::GetMetadataItem(const char *name, const char *domain)
{
    if (domain != nullptr && EQUAL(domain, CACHE_DOMAIN))
        return CSLFetchNameValue(GetMetadata(domain), name);
    if (domain != nullptr && EQUAL(domain, "SHIFTMAP"))
        RefreshMetadata();
    return GDALPamDataset::GetMetadataItem(name, domain);
}

template <typename Read>
CPLErr Dataset::InStrips(int x, int y, int width, int height, bool whole, GDALRasterIOExtraArg *extra, Read read)
{
    const int columns = (x + width - 1) / m_grid.block_width - x / m_grid.block_width + 1;
    const int rows = (y + height - 1) / m_grid.block_height - y / m_grid.block_height + 1;
    if (columns * static_cast<int64_t>(rows) <= 1)
        return read(y, height, extra);
    const GDALProgressFunc progress = extra->pfnProgress;
    void *const data = extra->pProgressData;
    CPLErr result = CE_None;
    for (int done = 0; done < height && result == CE_None;)
    {
        int part = height - done;
        if (!whole)
            part = std::min(part, std::max(1, table.rows_at_once(m_handle, m_level, x, y + done, width)));
        result = Report(table.prefetch(m_handle, m_level, x, y + done, width, part));
        if (result != CE_None)
            break;
        GDALRasterIOExtraArg inner = *extra;
        if (part < height)
            inner.bFloatingPointWindowValidity = FALSE;
        void *scaled = nullptr;
        if (progress != nullptr)
        {
            scaled = GDALCreateScaledProgress(done / static_cast<double>(height),
                                              (done + part) / static_cast<double>(height), progress, data);
            inner.pfnProgress = scaled ? GDALScaledProgress : nullptr;
            inner.pProgressData = scaled;
        }
        result = read(y + done, part, &inner);
        if (scaled != nullptr)
            GDALDestroyScaledProgress(scaled);
        done += part;
    }
    return result;
}

CPLErr Dataset::IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *data, int bufferWidth,
                          int bufferHeight, GDALDataType type, int bandCount, BANDMAP_TYPE bands, GSpacing pixelSpace,
                          GSpacing lineSpace, GSpacing bandSpace, GDALRasterIOExtraArg *extra)
{
    const auto base = [&](int from, int rows, GDALRasterIOExtraArg *arguments) {
        const bool part = rows < height;
        GByte *target = static_cast<GByte *>(data) + (part ? (from - y) * lineSpace : 0);
        return GDALPamDataset::IRasterIO(flag, x, from, width, rows, target, bufferWidth, part ? rows : bufferHeight,
                                         type, bandCount, bands, pixelSpace, lineSpace, bandSpace, arguments);
    };
    GDALRasterBand *first = GetRasterBand(1);
    if (flag != GF_Read || FromOverview(first, x, y, width, height, bufferWidth, bufferHeight, extra))
        return base(y, height, extra);
    const bool resampled = bufferWidth != width || bufferHeight != height;
    return InStrips(x, y, width, height, resampled, extra, base);
}

CPLErr Dataset::IBuildOverviews(const char *resampling, int count, const int *factors, int bandCount, const int *bands,
                                GDALProgressFunc progress, void *data, CSLConstList options)
{
    m_hidden = true;
    const CPLErr result =
        GDALPamDataset::IBuildOverviews(resampling, count, factors, bandCount, bands, progress, data, options);
    m_hidden = false;
    return result;
}

// ------------------------------------------------------------------------------------------------------------- Band

Band::Band(Dataset *owner, int number)
{
    poDS = owner;
    nBand = number;
    eAccess = GA_ReadOnly;
    eDataType = GDT_Float32;
    nRasterXSize = owner->m_grid.width;
    nRasterYSize = owner->m_grid.height;
    nBlockXSize = owner->m_grid.block_width;
    nBlockYSize = owner->m_grid.block_height;
    CPLStringList items;
    table.texts(owner->m_handle, number, AddTo, &items);
    // Set below PAM, which would save it.
    GDALMajorObject::SetDescription(items.FetchNameValueDef("description", ""));
    m_unit = items.FetchNameValueDef("unit", "");
    items.SetNameValue("description", nullptr);
    items.SetNameValue("unit", nullptr);
    if (items.Count() > 0)
        GDALRasterBand::SetMetadata(items.List());
}

double Band::GetNoDataValue(int *success)
{
    if (success != nullptr)
        *success = TRUE;
    return std::numeric_limits<double>::quiet_NaN();
}

const char *Band::GetUnitType()
{
    return m_unit.c_str();
}

int Band::GetOverviewCount()
{
    // A file of overviews (gdaladdo) comes first.
    const int built = GDALPamRasterBand::GetOverviewCount();
    return built > 0 ? built : static_cast<Dataset *>(poDS)->OverviewCount();
}

GDALRasterBand *Band::GetOverview(int index)
{
    if (GDALPamRasterBand::GetOverviewCount() > 0)
        return GDALPamRasterBand::GetOverview(index);
    Dataset *overview = static_cast<Dataset *>(poDS)->Overview(index);
    return overview ? overview->GetRasterBand(nBand) : nullptr;
}

CPLErr Band::IReadBlock(int x, int y, void *values)
{
    Dataset *owner = static_cast<Dataset *>(poDS);
    return Report(table.read_block(owner->m_handle, owner->m_level, nBand, x, y, static_cast<float *>(values)));
}

CPLErr Band::IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *data, int bufferWidth,
                       int bufferHeight, GDALDataType type, GSpacing pixelSpace, GSpacing lineSpace,
                       GDALRasterIOExtraArg *extra)
{
    const auto base = [&](int from, int rows, GDALRasterIOExtraArg *arguments) {
        const bool part = rows < height;
        GByte *target = static_cast<GByte *>(data) + (part ? (from - y) * lineSpace : 0);
        return GDALPamRasterBand::IRasterIO(flag, x, from, width, rows, target, bufferWidth,
                                            part ? rows : bufferHeight, type, pixelSpace, lineSpace, arguments);
    };
    if (flag != GF_Read || FromOverview(this, x, y, width, height, bufferWidth, bufferHeight, extra))
        return base(y, height, extra);
    const bool resampled = bufferWidth != width || bufferHeight != height;
    return static_cast<Dataset *>(poDS)->InStrips(x, y, width, height, resampled, extra, base);
}

// ----------------------------------------------------------------------------------------------------------- driver

constexpr const char *PREFIX = "SHIFTMAP:";

bool IsConnection(const GDALOpenInfo *info)
{
    return STARTS_WITH_CI(info->pszFilename, PREFIX);
}

// Looks at the name and at the bytes that GDAL has read, nothing else.
int Identify(GDALOpenInfo *info)
{
    if (IsConnection(info))
        return TRUE;
    if (info->pabyHeader == nullptr)
        return FALSE;
    const char *text = reinterpret_cast<const char *>(info->pabyHeader);
    const char *const end = text + info->nHeaderBytes;
    if (end - text >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    constexpr const char *FIRST = "shiftmap ";
    const auto length = static_cast<std::ptrdiff_t>(strlen(FIRST));
    if (end - text <= length || memcmp(text, FIRST, length) != 0)
        return FALSE;
    text += length;
    const char *const digits = text;
    while (text < end && *text >= '0' && *text <= '9')
        ++text;
    return text > digits && (text == end || *text == '\n' || *text == '\r' || *text == ' ' || *text == '\t');
}

GDALDataset *Open(GDALOpenInfo *info)
{
    if (!Identify(info))
        return nullptr;
    if (info->eAccess == GA_Update)
    {
        CPLError(CE_Failure, CPLE_NotSupported, "SHIFTMAP: %s is computed and cannot be changed; open it read-only",
                 info->pszFilename);
        return nullptr;
    }
    GByte *text = nullptr;
    if (!IsConnection(info))
    {
        vsi_l_offset size = 0;
        if (info->fpL == nullptr || !VSIIngestFile(info->fpL, info->pszFilename, &text, &size, 1 << 20))
        {
            CPLError(CE_Failure, CPLE_FileIO, "SHIFTMAP: cannot read %s; a job file has at most 1 MB",
                     info->pszFilename);
            return nullptr;
        }
    }
    void *handle = nullptr;
    const CPLErr result = Report(
        table.open(info->pszFilename, reinterpret_cast<const char *>(text), info->papszOpenOptions, &handle));
    VSIFree(text);
    if (result != CE_None || handle == nullptr)
        return nullptr;
    auto dataset = std::make_unique<Dataset>(handle, 0);
    if (!IsConnection(info))
        dataset->UsePam(info->pszFilename);
    return dataset.release();
}

const char *LibraryOf(void *address)
{
    Dl_info found;
    return dladdr(address, &found) != 0 && found.dli_fname != nullptr ? found.dli_fname : "";
}

void Copy(char *target, size_t size, const char *text)
{
    CPLStrlcpy(target, text, size);
}
}  // namespace

extern "C"
{
    int32_t shiftmap_driver_headers(void);
    void shiftmap_driver_caller(ShiftmapCaller *caller);
    void shiftmap_driver_refuse(const ShiftmapCaller *caller, const char *text);
    int32_t shiftmap_driver_known(void);
    void shiftmap_driver_register(const ShiftmapTable *functions);
    int32_t shiftmap_driver_stat(const char *path, int64_t *size, int64_t *time);
}

// GDAL_VERSION_NUM of the headers.
int32_t shiftmap_driver_headers(void)
{
    return GDAL_VERSION_NUM;
}

// Which library called into this one. A program with another GDAL finds the plugin as well, and would never see a
// driver that registers itself with the GDAL that this library is linked to.
void shiftmap_driver_caller(ShiftmapCaller *caller)
{
    *caller = ShiftmapCaller{};
    Copy(caller->own, sizeof(caller->own), LibraryOf(reinterpret_cast<void *>(&GDALVersionInfo)));
#if defined(__GLIBC__) || defined(__APPLE__)
    Dl_info self;
    if (dladdr(reinterpret_cast<void *>(&shiftmap_driver_headers), &self) == 0)
        return;
    void *frames[32];
    const int count = backtrace(frames, 32);
    for (int i = 0; i < count; ++i)
    {
        Dl_info frame;
        if (dladdr(frames[i], &frame) == 0 || frame.dli_fbase == self.dli_fbase)
            continue;
        Copy(caller->path, sizeof(caller->path), frame.dli_fname ? frame.dli_fname : "");
        Dl_info own;
        if (dladdr(reinterpret_cast<void *>(&GDALVersionInfo), &own) != 0 && own.dli_fbase == frame.dli_fbase)
            return;
        void *library = dlopen(caller->path, RTLD_LAZY | RTLD_NOLOAD);
        if (library == nullptr)
            return;
        // A program that is not GDAL finds these in the libraries that it needs: they must be the caller's own.
        const auto inside = [&](const char *name) -> void * {
            void *symbol = dlsym(library, name);
            Dl_info where;
            const bool own = symbol != nullptr && dladdr(symbol, &where) != 0 && where.dli_fbase == frame.dli_fbase;
            return own ? symbol : nullptr;
        };
        if (void *symbol = inside("GDALVersionInfo"))
        {
            const auto version = reinterpret_cast<const char *(*)(const char *)>(symbol);
            Copy(caller->release, sizeof(caller->release), version("RELEASE_NAME"));
        }
        caller->error = inside("CPLError");
        dlclose(library);
        return;
    }
#endif
}

// Tells the library that called, or our own GDAL, that there will be no driver.
void shiftmap_driver_refuse(const ShiftmapCaller *caller, const char *text)
{
    using Function = void (*)(CPLErr, CPLErrorNum, const char *, ...);
    const Function error = caller->error ? reinterpret_cast<Function>(caller->error) : &CPLError;
    error(CE_Failure, CPLE_AppDefined, "%s", text);
}

int32_t shiftmap_driver_known(void)
{
    return GDALGetDriverByName("SHIFTMAP") != nullptr;
}

void shiftmap_driver_register(const ShiftmapTable *functions)
{
    if (shiftmap_driver_known())
        return;
    table = *functions;
    auto driver = std::make_unique<GDALDriver>();
    driver->SetDescription("SHIFTMAP");
    driver->SetMetadataItem(GDAL_DCAP_RASTER, "YES");
    driver->SetMetadataItem(GDAL_DCAP_VIRTUALIO, "YES");
    driver->SetMetadataItem(GDAL_DMD_LONGNAME, "Displacement between two images, computed when it is read (shiftmap)");
    driver->SetMetadataItem(GDAL_DMD_EXTENSION, "shiftmap");
    driver->SetMetadataItem(GDAL_DMD_EXTENSIONS, "shiftmap");
    driver->SetMetadataItem(GDAL_DMD_CONNECTION_PREFIX, PREFIX);
    driver->SetMetadataItem(GDAL_DMD_OPENOPTIONLIST, table.option_list);
    driver->SetMetadataItem("SHIFTMAP_VERSION", table.version);
    driver->SetMetadataItem("SHIFTMAP_LIBRARY", LibraryOf(reinterpret_cast<void *>(&shiftmap_driver_headers)));
    driver->pfnIdentify = Identify;
    driver->pfnOpen = Open;
    GetGDALDriverManager()->RegisterDriver(driver.release());
}

int32_t shiftmap_driver_stat(const char *path, int64_t *size, int64_t *time)
{
    VSIStatBufL found;
    if (VSIStatL(path, &found) != 0)
        return 0;
    *size = static_cast<int64_t>(found.st_size);
    *time = static_cast<int64_t>(found.st_mtime);
    return 1;
}
