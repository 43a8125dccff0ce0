; Stillroom's setup program: for one user, without administrator rights.
;   makensis -WX -DPAYLOAD=FOLDER -DOUTPUT=FILE -DVERSION=X.Y.Z -DICON=FILE stillroom.nsi
; Upgrading clears the old program first, so that no file of it is left among the new ones. Chats
; and models are in the user's own folders and are never touched.
!ifdef TARGET ; amd64-unicode: where the makensis at hand can, for 64-bit-only systems
  Target "${TARGET}"
!else
  Unicode true
!endif
SetCompressor /SOLID lzma
!include "MUI2.nsh"
!include "LogicLib.nsh"

!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\Stillroom"
!define CLASSES "Software\Classes"
!define PROGRAM "$INSTDIR\stillroom-gui.exe"

Name "Stillroom"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\Stillroom"
InstallDirRegKey HKCU "${KEY}" "InstallLocation"
RequestExecutionLevel user
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "Stillroom"
VIAddVersionKey "FileDescription" "Stillroom setup"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "Apache-2.0"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "${PROGRAM}"
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "SimpChinese"

; A program that runs keeps its file open: say so instead of leaving half of each version.
!macro RefuseWhileRunning NAME
  ${If} ${FileExists} "$INSTDIR\${NAME}"
    ClearErrors
    FileOpen $0 "$INSTDIR\${NAME}" a
    ${If} ${Errors}
      MessageBox MB_OK|MB_ICONEXCLAMATION "Stillroom is running. Close it and try again." /SD IDOK
      SetErrorLevel 2
      Quit
    ${EndIf}
    FileClose $0
  ${EndIf}
!macroend

Section "Stillroom"
  SetOutPath "$INSTDIR"
  !insertmacro RefuseWhileRunning "stillroom-gui.exe"
  !insertmacro RefuseWhileRunning "stillroom.exe"
  RMDir /r "$INSTDIR\_internal"
  File /r "${PAYLOAD}\*.*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\Stillroom.lnk" "${PROGRAM}"

  WriteRegStr HKCU "${KEY}" "DisplayName" "Stillroom"
  WriteRegStr HKCU "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${KEY}" "DisplayIcon" "${PROGRAM}"
  WriteRegStr HKCU "${KEY}" "Publisher" "The Stillroom maintainers"
  WriteRegStr HKCU "${KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${KEY}" "NoRepair" 1

  ; Offered beside whatever opens .gguf files now, not in its place.
  WriteRegStr HKCU "${CLASSES}\Stillroom.gguf" "" "GGUF model"
  WriteRegStr HKCU "${CLASSES}\Stillroom.gguf\DefaultIcon" "" "${PROGRAM},0"
  WriteRegStr HKCU "${CLASSES}\Stillroom.gguf\shell\open\command" "" '"${PROGRAM}" "%1"'
  WriteRegStr HKCU "${CLASSES}\.gguf\OpenWithProgids" "Stillroom.gguf" ""
  WriteRegStr HKCU "${CLASSES}\stillroom" "" "URL:Stillroom"
  WriteRegStr HKCU "${CLASSES}\stillroom" "URL Protocol" ""
  WriteRegStr HKCU "${CLASSES}\stillroom\shell\open\command" "" '"${PROGRAM}" "%1"'
SectionEnd

Section "Uninstall"
  !insertmacro RefuseWhileRunning "stillroom-gui.exe"
  !insertmacro RefuseWhileRunning "stillroom.exe"
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\stillroom.exe"
  Delete "$INSTDIR\stillroom-gui.exe"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\Stillroom.lnk"
  DeleteRegKey HKCU "${KEY}"
  DeleteRegKey HKCU "${CLASSES}\Stillroom.gguf"
  DeleteRegValue HKCU "${CLASSES}\.gguf\OpenWithProgids" "Stillroom.gguf"
  DeleteRegKey /ifempty HKCU "${CLASSES}\.gguf\OpenWithProgids"
  DeleteRegKey /ifempty HKCU "${CLASSES}\.gguf"
  DeleteRegKey HKCU "${CLASSES}\stillroom"
SectionEnd
