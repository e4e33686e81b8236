// Clang and LLD in process: see host.h. The only C++ of the project; it decides nothing.
//
// Each piece of work runs inside a CrashRecoveryContext, so that an abort, a signal or an exit
// inside LLVM comes back as a status. After a crash LLVM's state is not to be trusted: callers
// report and end.
#include "compiler/toolchain/host.h"

#include "clang/Basic/Diagnostic.h"
#include "clang/Basic/FileManager.h"
#include "clang/CodeGen/CodeGenAction.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/CompilerInvocation.h"
#include "clang/Frontend/TextDiagnosticPrinter.h"
#include "lld/Common/Driver.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/VirtualFileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

LLD_HAS_DRIVER(elf)

// LLVM's archives name a plugin and the targets of every CPU family; sinter has X86 and NVPTX.
llvm::PassPluginLibraryInfo getPollyPluginInfo();
llvm::PassPluginLibraryInfo getPollyPluginInfo()
{
    return {LLVM_PLUGIN_API_VERSION, "none", "0", [](llvm::PassBuilder &) {}};
}

extern "C" {
#define ABSENT(target)                            \
    void LLVMInitialize##target##TargetInfo() {}  \
    void LLVMInitialize##target##Target() {}      \
    void LLVMInitialize##target##TargetMC() {}    \
    void LLVMInitialize##target##AsmPrinter() {}  \
    void LLVMInitialize##target##AsmParser() {}   \
    void LLVMInitialize##target##Disassembler() {}
ABSENT(AArch64)
ABSENT(AMDGPU)
ABSENT(ARM)
ABSENT(AVR)
ABSENT(BPF)
ABSENT(Hexagon)
ABSENT(Lanai)
ABSENT(LoongArch)
ABSENT(M68k)
ABSENT(MSP430)
ABSENT(Mips)
ABSENT(PowerPC)
ABSENT(RISCV)
ABSENT(Sparc)
ABSENT(SystemZ)
ABSENT(VE)
ABSENT(WebAssembly)
ABSENT(XCore)
ABSENT(Xtensa)
}

namespace {

const int FailureExit = 70, MemoryExit = 6;

// Why the library gave up, said by LLVM itself just before its end.
thread_local std::string LastWords;

void onFatalError(void *, const char *Reason, bool)
{
    LastWords = std::string(Reason) + "\n";
    if (auto *Context = llvm::CrashRecoveryContext::GetCurrent())
        Context->HandleExit(FailureExit);
}

// Allocates nothing: runs when operator new or LLVM's malloc has failed.
void onOutOfMemory(void *, const char *, bool)
{
    if (auto *Context = llvm::CrashRecoveryContext::GetCurrent())
        Context->HandleExit(MemoryExit);
}

void onNewFailure()
{
    onOutOfMemory(nullptr, nullptr, false);
    std::abort();
}

void initialize()
{
    static std::once_flag Once;
    std::call_once(Once, [] {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmPrinter();
        LLVMInitializeX86AsmParser();
        LLVMInitializeNVPTXTargetInfo();
        LLVMInitializeNVPTXTarget();
        LLVMInitializeNVPTXTargetMC();
        LLVMInitializeNVPTXAsmPrinter();
        llvm::install_fatal_error_handler(onFatalError);
        llvm::install_bad_alloc_error_handler(onOutOfMemory);
        std::set_new_handler(onNewFailure);
        llvm::CrashRecoveryContext::Enable();
    });
}

char *copyBytes(llvm::StringRef Bytes)
{
    char *Copy = static_cast<char *>(std::malloc(Bytes.size() + 1));
    if (Copy) {
        std::memcpy(Copy, Bytes.data(), Bytes.size());
        Copy[Bytes.size()] = '\0';
    }
    return Copy;
}

// Runs work under crash recovery. The work answers whether it succeeded.
host_status guarded(llvm::function_ref<bool()> Work)
{
    initialize();
    LastWords.clear();
    bool Succeeded = false;
    llvm::CrashRecoveryContext Context;
    if (Context.RunSafely([&] { Succeeded = Work(); }))
        return Succeeded ? HOST_OK : HOST_REJECTED;
    return Context.RetCode == MemoryExit ? HOST_OUT_OF_MEMORY : HOST_CRASHED;
}

// A file system that holds the source and nothing else, so that no emitted text reaches a file.
llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> fileSystemOf(const char *Name,
                                                             llvm::StringRef Source)
{
    auto Files = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
    Files->setCurrentWorkingDirectory("/");
    Files->addFile(Name, 0, llvm::MemoryBuffer::getMemBufferCopy(Source, Name));
    return Files;
}

bool compile(const char *Name, llvm::StringRef Source, llvm::ArrayRef<const char *> Arguments,
             llvm::SmallVectorImpl<char> &Object, llvm::raw_ostream &Messages)
{
    clang::CompilerInstance Clang;
    Clang.setVerboseOutputStream(llvm::nulls());
    auto Printer = std::make_unique<clang::TextDiagnosticPrinter>(
        Messages, new clang::DiagnosticOptions);
    Clang.createDiagnostics(Printer.release());
    llvm::SmallVector<const char *, 64> All(Arguments.begin(), Arguments.end());
    All.push_back(Name);
    if (!clang::CompilerInvocation::CreateFromArgs(Clang.getInvocation(), All,
                                                   Clang.getDiagnostics()))
        return false;
    Clang.createFileManager(fileSystemOf(Name, Source));
    Clang.setOutputStream(std::make_unique<llvm::raw_svector_ostream>(Object));
    clang::EmitObjAction Action;
    return Clang.ExecuteAction(Action);
}

} // namespace

const char *host_cpu_name(void)
{
    static const std::string Name = llvm::sys::getHostCPUName().str();
    return Name.c_str();
}

bool host_cpu_has(const char *feature)
{
    static const llvm::StringMap<bool> Features = llvm::sys::getHostCPUFeatures();
    return Features.lookup(feature);
}

bool host_cpu_known(const char *cpu)
{
    return llvm::X86::parseArchX86(cpu, true) != llvm::X86::CK_None;
}

bool host_cpu_named_has(const char *cpu, const char *feature)
{
    llvm::SmallVector<llvm::StringRef, 64> Listed;
    llvm::StringMap<bool> Features;
    llvm::X86::getFeaturesForCPU(cpu, Listed);
    for (llvm::StringRef Name : Listed) {
        Features[Name] = true;
        llvm::X86::updateImpliedFeatures(Name, true, Features);
    }
    return Features.lookup(feature);
}

void host_cpu_settle(const char *const *names, bool *on, size_t count)
{
    llvm::StringMap<bool> Features;
    for (bool Enabled : {true, false})
        for (size_t I = 0; I < count; I++)
            if (on[I] == Enabled) {
                Features[names[I]] = Enabled;
                llvm::X86::updateImpliedFeatures(names[I], Enabled, Features);
            }
    for (size_t I = 0; I < count; I++)
        on[I] = Features.lookup(names[I]);
}

void host_cpu_each(void (*visit)(void *context, const char *name), void *context)
{
    llvm::SmallVector<llvm::StringRef, 64> Names;
    llvm::X86::fillValidCPUArchList(Names, true);
    for (llvm::StringRef Name : Names)
        visit(context, Name.str().c_str());
}

void host_cpu_features_each(const char *cpu, void (*visit)(void *context, const char *name),
                            void *context)
{
    llvm::SmallVector<llvm::StringRef, 64> Features;
    llvm::X86::getFeaturesForCPU(cpu, Features);
    for (llvm::StringRef Feature : Features)
        visit(context, Feature.str().c_str());
}

enum host_status host_compile(const char *name, const char *source, size_t length,
                              const char *const *arguments, size_t argument_count, char **object,
                              size_t *object_length, char **text)
{
    llvm::SmallVector<char, 0> Object;
    std::string Messages;
    llvm::raw_string_ostream Stream(Messages);
    host_status Status = guarded([&] {
        return compile(name, llvm::StringRef(source, length), {arguments, argument_count}, Object,
                       Stream);
    });
    *text = copyBytes(LastWords + Stream.str());
    *object = nullptr;
    *object_length = 0;
    if (Status != HOST_OK)
        return Status;
    *object = copyBytes({Object.data(), Object.size()});
    *object_length = Object.size();
    return *object ? HOST_OK : HOST_OUT_OF_MEMORY;
}

enum host_status host_link(const char *const *arguments, size_t argument_count, char **text)
{
    std::string Messages;
    llvm::raw_string_ostream Stream(Messages);
    llvm::SmallVector<const char *, 64> All = {"ld.lld"};
    All.append(arguments, arguments + argument_count);
    lld::Result Result = {FailureExit, false}; // LLD recovers from crashes by itself
    host_status Status = guarded([&] {
        Result = lld::lldMain(All, Stream, Stream, {{lld::Gnu, &lld::elf::link}});
        return Result.retCode == 0;
    });
    *text = copyBytes(LastWords + Stream.str());
    if (Result.retCode == MemoryExit)
        return HOST_OUT_OF_MEMORY;
    return Result.canRunAgain ? Status : HOST_CRASHED;
}

const char *host_llvm_version(void)
{
    return LLVM_VERSION_STRING;
}
